//! Readiness gates: conditions that somebody else has to set before a pod whose containers are ready counts as Ready.

use crate::snapshot::kubernetes::{Condition, Pod};

/// Gates that the AWS Load Balancer Controller opens when a target is healthy; the target group's name follows.
const TARGET_HEALTH: &[&str] = &["target-health.elbv2.k8s.aws/", "target-health.alb.ingress.k8s.aws/"];

/// A gate that is not open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shut<'a> {
    /// Type of the condition.
    pub(crate) gate: &'a str,
    /// The condition; `None` where nobody has set it.
    pub(crate) condition: Option<&'a Condition>,
}

impl<'a> Shut<'a> {
    /// The target group that the gate waits for.
    pub(crate) fn target_group(&self) -> Option<&'a str> {
        TARGET_HEALTH.iter().find_map(|prefix| self.gate.strip_prefix(prefix))
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
        assert_eq!(shut(&one).and_then(|s| s.target_group()), Some("k8s-monitori-grafana-1"));
    }
}
