//! A place in a file or an object: what editors and annotations need.

use super::ResourceRef;

/// What a place is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file that the user gave, by the path that was given.
    File(String),
    /// An object of the cluster or of AWS.
    Object(ResourceRef),
}

/// Where the fault is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file or object.
    pub place: Place,
    /// Path of the field: `spec.template.spec.containers[0].args`, or the key of a ConfigMap; empty where unknown.
    pub field: String,
    /// Line in the file or in the text that the field holds, from 1.
    pub line: Option<usize>,
    /// Column in that line, from 1.
    pub column: Option<usize>,
    /// The line itself, or the few lines around it.
    pub excerpt: String,
}

impl Location {
    /// A place in a file.
    pub fn file(path: impl Into<String>) -> Self {
        Self::of(Place::File(path.into()))
    }

    /// A place in an object.
    pub fn object(object: ResourceRef) -> Self {
        Self::of(Place::Object(object))
    }

    fn of(place: Place) -> Self {
        Self { place, field: String::new(), line: None, column: None, excerpt: String::new() }
    }

    /// Names the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// Gives line and column, both from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: Option<usize>) -> Self {
        (self.line, self.column) = (Some(line), column);
        self
    }

    /// Quotes what stands there.
    #[must_use]
    pub fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = excerpt.into();
        self
    }
}
