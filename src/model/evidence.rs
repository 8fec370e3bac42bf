//! What was seen, where, and how to see it again.

use super::Params;

/// One observation that supports a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Object and field path, API call, log line or query it was read from.
    pub source: String,
    /// The value that was seen, in one or few lines.
    pub value: String,
    /// Template of a read-only command that reproduces it. Values go through [`Evidence::params`], so that the template
    /// engine quotes them.
    pub reproduce_template: &'static str,
    /// Values of the template.
    pub params: Params,
    /// The finished command; filled in by the engine.
    pub reproduce: String,
}

impl Evidence {
    /// Evidence read from `source`, with the template of the command that shows it again (e.g.
    /// `kubectl get pvc {{ name }} -n {{ namespace }} -o yaml`).
    pub fn new(source: impl Into<String>, value: impl Into<String>, reproduce_template: &'static str) -> Self {
        Self {
            source: source.into(),
            value: value.into(),
            reproduce_template,
            params: Params::default(),
            reproduce: String::new(),
        }
    }

    /// Sets a value of the template.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl serde::Serialize) -> Self {
        self.params.set(name, value);
        self
    }
}
