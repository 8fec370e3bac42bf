//! What is said again and again: for how long, and whether it still is.

/// Seconds for which lines count; what goes on is said every few seconds.
pub(crate) const RECENT: i64 = 900;
/// Seconds since the last of them: what was replaced meanwhile is there again.
pub(crate) const NOW: i64 = 300;
/// And for how long it goes on: what starts, or is replaced, fails for a moment.
pub(crate) const LASTS: i64 = 120;
/// Lines from which on it is no hiccup.
pub(crate) const SEVERAL: usize = 3;

/// Lines that say the same, by their ages in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lasting {
    pub(crate) times: usize,
    first: i64,
    last: i64,
}

impl Lasting {
    /// Before the first of them, which is so old.
    pub(crate) fn before(age: i64) -> Self {
        Self { times: 0, first: age, last: age }
    }

    /// A line more.
    pub(crate) fn add(&mut self, age: i64) {
        self.times += 1;
        self.last = age;
    }

    /// One more line of what was said already, at once or as part of the same try.
    pub(crate) fn same(&mut self, age: i64) {
        self.last = age;
    }

    /// Seconds since the last of them.
    pub(crate) fn last(self) -> i64 {
        self.last
    }

    /// For how many seconds it was said.
    pub(crate) fn lasts(self) -> i64 {
        self.first - self.last
    }

    /// Said more than once or twice.
    pub(crate) fn is_several(self) -> bool {
        self.times >= SEVERAL
    }

    /// Said within these seconds.
    pub(crate) fn is_within(self, seconds: i64) -> bool {
        self.last <= seconds
    }

    /// The same, over some minutes.
    pub(crate) fn lasted(self) -> bool {
        self.is_several() && self.lasts() >= LASTS
    }

    /// The same, and still.
    pub(crate) fn goes_on(self) -> bool {
        self.lasted() && self.last <= NOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ages: &[i64]) -> Lasting {
        let mut all = Lasting::before(ages[0]);
        ages.iter().for_each(|age| all.add(*age));
        all
    }

    #[test]
    fn what_goes_on_was_said_for_some_minutes_and_just_now() {
        assert!(of(&[300, 180, 60]).goes_on());
        assert!(!of(&[60, 60, 60]).goes_on(), "it starts");
        assert!(!of(&[900, 780, 660]).goes_on(), "it is over");
        assert!(of(&[900, 780, 660]).is_several() && !of(&[300, 60]).is_several());
        assert!(of(&[900, 780, 660]).lasted() && !of(&[660, 660, 660]).lasted());
    }
}
