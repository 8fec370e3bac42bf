//! How long things take and how long they matter, in seconds. A check with another number says why beside it.

/// What was seen within this time is of now: events live as long, and what fails is retried more often.
pub(crate) const RECENT: i64 = 3600;
/// Younger than this, something that is not there yet is no fault: controllers, schedulers and kubelets need a moment.
pub(crate) const GRACE: i64 = 60;
/// Younger than this, a pod that is not ready is on its way: images are there, and probes ask every ten seconds.
pub(crate) const STARTING: i64 = 60;
/// A day: what came again within it is a habit.
pub(crate) const DAY: i64 = 24 * 3600;
/// A week.
pub(crate) const WEEK: i64 = 7 * DAY;

/// A time as sentences say it: to the minute, in UTC.
pub(crate) fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
