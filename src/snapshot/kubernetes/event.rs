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
}
