//! Which program a container runs.

use crate::model::Program;
use crate::snapshot::kubernetes::Container;

impl Container {
    /// Which program of the stack it runs, by its image, else by its name. Side-cars are none.
    pub fn program(&self) -> Option<Program> {
        let image = self.image.split('@').next().unwrap_or_default();
        let image = image.rsplit('/').next().and_then(|i| i.split(':').next()).unwrap_or_default();
        match (image, self.name.as_str()) {
            ("prometheus", _) | (_, "prometheus" | "prometheus-server") => Some(Program::Prometheus),
            ("alertmanager" | "prometheus-alertmanager", _) | (_, "alertmanager") => Some(Program::Alertmanager),
            ("grafana" | "grafana-oss" | "grafana-enterprise", _) | (_, "grafana") => Some(Program::Grafana),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_image_or_container() {
        let program = |name: &str, image: &str| {
            Container { name: name.into(), image: image.into(), ..Container::default() }.program()
        };
        assert_eq!(program("alertmanager", "x"), Some(Program::Alertmanager));
        let pinned = "registry:5000/prom/alertmanager:v0.27.0@sha256:00";
        assert_eq!(program("main", pinned), Some(Program::Alertmanager));
        assert_eq!(program("config-reloader", "prometheus-config-reloader:v0.80.0"), None);
        assert_eq!(program("prometheus-server", "quay.io/prometheus/prometheus:v3.5.0"), Some(Program::Prometheus));
    }
}
