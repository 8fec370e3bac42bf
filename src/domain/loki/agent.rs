//! The programs that collect logs.

use crate::domain::kubernetes::image::base_of;

/// A log agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Agent {
    Promtail,
    Alloy,
    FluentBit,
    Fluentd,
    Vector,
}

impl Agent {
    /// By an image.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        let name = base_of(image);
        if name.contains("promtail") {
            Some(Self::Promtail)
        } else if name == "alloy" || name == "agent" && image.contains("grafana/agent") {
            Some(Self::Alloy)
        } else if name.contains("fluent-bit") || name.contains("fluentbit") {
            Some(Self::FluentBit)
        } else if name.contains("fluentd") {
            Some(Self::Fluentd)
        } else if name == "vector" {
            Some(Self::Vector)
        } else {
            None
        }
    }

    /// Its name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Promtail => "promtail",
            Self::Alloy => "Alloy",
            Self::FluentBit => "Fluent Bit",
            Self::Fluentd => "Fluentd",
            Self::Vector => "Vector",
        }
    }

    /// The word for the fixes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Promtail => "promtail",
            Self::Alloy => "alloy",
            Self::FluentBit => "fluent-bit",
            Self::Fluentd => "fluentd",
            Self::Vector => "vector",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_by_their_images() {
        for (image, agent) in [
            ("docker.io/grafana/promtail:3.0.0", Some(Agent::Promtail)),
            ("registry:5000/grafana/alloy:v1.5.0", Some(Agent::Alloy)),
            ("cr.fluentbit.io/fluent/fluent-bit:3.1.0", Some(Agent::FluentBit)),
            ("public.ecr.aws/aws-observability/aws-for-fluent-bit:2.32.0", Some(Agent::FluentBit)),
            ("fluent/fluentd-kubernetes-daemonset:v1.16-debian-elasticsearch8-1", Some(Agent::Fluentd)),
            ("timberio/vector:0.39.0-distroless-libc", Some(Agent::Vector)),
            ("grafana/loki:3.0.0", None),
        ] {
            assert_eq!(Agent::of_image(image), agent, "{image}");
        }
    }
}
