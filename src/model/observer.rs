//! Who wants to hear of the calls that are made.

/// Hears of every call, for progress lines.
pub trait Observer: Send + Sync {
    /// A call begins.
    fn started(&self, label: &str);
    /// A call ended; `error` says how if it failed.
    fn finished(&self, label: &str, error: Option<&str>);
}

/// An observer that hears nothing.
pub struct Silent;

impl Observer for Silent {
    fn started(&self, _label: &str) {}
    fn finished(&self, _label: &str, _error: Option<&str>) {}
}
