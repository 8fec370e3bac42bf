//! Readiness gates: conditions that somebody else has to set before a pod whose containers are ready counts as Ready.

use crate::snapshot::kubernetes::{Condition, Pod};

/// Gates that the AWS Load Balancer Controller opens when a target is healthy; the TargetGroupBinding's name follows. Those of
/// its first version (`target-health.alb.ingress.k8s.aws/<ingress>_<service>_<port>`) name none, and nobody opens them now.
const TARGET_HEALTH: &str = "target-health.elbv2.k8s.aws/";

/// A gate that is not open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shut<'a> {
    /// Type of the condition.
    pub(crate) gate: &'a str,
    /// The condition; `None` where nobody has set it.
    pub(crate) condition: Option<&'a Condition>,
}

impl<'a> Shut<'a> {
    /// The TargetGroupBinding that the gate waits for; where the controller made it, its target group has the same name.
    pub(crate) fn binding(&self) -> Option<&'a str> {
        self.gate.strip_prefix(TARGET_HEALTH)
    }
}

/// The first gate that keeps a pod from being Ready, whose containers all are.
pub(crate) fn shut(pod: &Pod) -> Option<Shut<'_>> {
    let is_true = |kind: &str| pod.condition(kind).is_some_and(|c| c.status == "True");
    if pod.is_ready() || !is_true("ContainersReady") {
        return None;
    }
    let gate = pod.spec.readiness_gates.iter().map(|g| g.condition_type.as_str()).find(|gate| !is_true(gate))?;
    Some(Shut { gate, condition: pod.condition(gate) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gate_counts_once_the_containers_are_ready() {
        let pod = |containers: &str, gate: &str| -> Pod {
            let kind = "target-health.elbv2.k8s.aws/k8s-monitori-grafana-1";
            serde_json::from_value(
                json!({"spec": {"readinessGates": [{"conditionType": kind}]}, "status": {"conditions": [
                {"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": containers},
                {"type": kind, "status": gate}]}}),
            )
            .expect("a pod")
        };
        assert!(shut(&pod("False", "False")).is_none());
        assert!(shut(&pod("True", "True")).is_none());
        let one = pod("True", "False");
        assert_eq!(shut(&one).and_then(|s| s.binding()), Some("k8s-monitori-grafana-1"));
        let first = Shut { gate: "target-health.alb.ingress.k8s.aws/web_grafana_80", condition: None };
        assert_eq!(first.binding(), None);
    }
}
