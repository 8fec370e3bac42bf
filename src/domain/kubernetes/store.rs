//! Loki, Mimir and Tempo, told by their images.

use crate::domain::kubernetes::image::base_of;

/// A store that is built as Loki is: a ring of ingesters before an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Store {
    Loki,
    Mimir,
    Tempo,
}

impl Store {
    /// By an image.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        match base_of(image) {
            "loki" | "enterprise-logs" => Some(Self::Loki),
            "mimir" | "enterprise-metrics" => Some(Self::Mimir),
            "tempo" | "enterprise-traces" => Some(Self::Tempo),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loki => "Loki",
            Self::Mimir => "Mimir",
            Self::Tempo => "Tempo",
        }
    }

    /// The port of its HTTP API, unless it is told otherwise.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Loki => 3100,
            Self::Mimir => 8080,
            Self::Tempo => 3200,
        }
    }

    /// The page with the members of its ring of ingesters.
    pub(crate) fn ring_page(self) -> &'static str {
        match self {
            Self::Loki => "/ring",
            Self::Mimir | Self::Tempo => "/ingester/ring",
        }
    }
}
