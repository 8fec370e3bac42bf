//! Events.

use super::meta::null_default;
use super::{Meta, Object, ObjectReference};
use jiff::Timestamp;
use serde::Deserialize;

/// Event, core/v1. Scheduler events carry `eventTime` and `series`, others `firstTimestamp` and `lastTimestamp`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    pub metadata: Meta,
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    pub involved_object: ObjectReference,
    pub count: Option<u32>,
    pub first_timestamp: Option<Timestamp>,
    pub last_timestamp: Option<Timestamp>,
    pub event_time: Option<Timestamp>,
    pub series: Option<EventSeries>,
}

/// `series` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSeries {
    pub count: u32,
    pub last_observed_time: Option<Timestamp>,
}

impl Object for Event {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn key(&self) -> (&str, &str) {
        (&self.involved_object.namespace, &self.involved_object.name)
    }

    const IS_KEYED_BY_NAME: bool = false;
}

impl Event {
    /// It is about a node or about what makes them: they have no namespace, and their events lie in `default`.
    pub fn is_of_nodes(&self) -> bool {
        let kind = self.involved_object.kind.as_str();
        matches!(kind, "Node" | "NodeClaim" | "NodePool" | "EC2NodeClass" | "NodeClass")
    }

    /// It is about the object with this uid, as far as both say: one that was deleted and made again has the name of the old one.
    pub fn is_of(&self, uid: &str) -> bool {
        self.involved_object.uid.as_deref().is_none_or(|own| own.is_empty() || uid.is_empty() || own == uid)
    }

    /// When it was last seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.series
            .as_ref()
            .and_then(|s| s.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.first_timestamp)
            .or(self.metadata.creation_timestamp)
    }

    /// It was last seen so many seconds before `now` at most; one without a time may have been.
    pub fn is_within(&self, seconds: i64, now: Timestamp) -> bool {
        self.last_seen().is_none_or(|t| now.as_second() - t.as_second() <= seconds)
    }

    /// How often it was seen.
    pub fn times(&self) -> u32 {
        self.series.as_ref().map(|s| s.count).or(self.count).unwrap_or(1).max(1)
    }

    /// How often it was seen in the last `seconds` before `now`: the share of them, where it has been counted for longer.
    pub fn times_within(&self, seconds: i64, now: Timestamp) -> u32 {
        let begun = self.first_timestamp.or(self.event_time).or(self.metadata.creation_timestamp);
        let Some((first, last)) = begun.zip(self.last_seen()).filter(|(first, last)| first < last) else {
            return self.times();
        };
        let since = now.as_second() - seconds;
        let (within, all) = (last.as_second() - since, last.as_second() - first.as_second());
        if within >= all {
            return self.times();
        }
        let share = i64::from(self.times()) * within.max(0) / all.max(1);
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_of_days_are_shared_out() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        let times = |first: &str, last: &str| {
            let event = json!({"count": 48, "firstTimestamp": first, "lastTimestamp": last});
            serde_json::from_value::<Event>(event).expect("an event").times_within(3600, now)
        };
        assert_eq!(times("2026-11-21T11:10:00Z", "2026-11-21T12:00:00Z"), 48);
        assert_eq!(times("2026-11-19T12:00:00Z", "2026-11-21T12:00:00Z"), 1);
        assert_eq!(times("2026-11-21T10:00:00Z", "2026-11-21T12:00:00Z"), 24);
    }
}
