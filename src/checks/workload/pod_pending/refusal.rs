//! Why the API server refuses a pod.

/// Why the API server refuses a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A ResourceQuota is used up.
    Quota,
    /// A ResourceQuota wants requests and limits to be stated.
    MustSpecify,
    /// The namespace's Pod Security level.
    PodSecurity,
    /// A LimitRange.
    LimitRange,
    /// A PriorityClass that does not exist.
    PriorityClass,
    /// A RuntimeClass that does not exist.
    RuntimeClass,
    /// A ServiceAccount that does not exist.
    ServiceAccount,
    /// A name or label that is made of the workload's name is too long.
    LongName,
    /// A field of the pod's template that no pod may have so, or lacks.
    Invalid,
    /// Something else, such as a webhook.
    Other,
}

impl Refusal {
    pub(super) fn of(message: &str) -> Self {
        let has = |part: &str| message.contains(part);
        if has("exceeded quota") {
            Self::Quota
        } else if has("failed quota") || has("must specify") {
            Self::MustSpecify
        } else if has("must be no more than 63 characters") || has("must be no more than 63 bytes") {
            Self::LongName
        } else if has("violates PodSecurity") {
            Self::PodSecurity
        } else if has("per Container is") || has("per Pod is") || has("limit to request ratio per ") {
            Self::LimitRange
        } else if has("no PriorityClass with name") {
            Self::PriorityClass
        } else if has("RuntimeClass \"") && has("not found") {
            Self::RuntimeClass
        } else if has("service account") || has("serviceaccount") {
            Self::ServiceAccount
        } else if message.split_once("Pod \"").is_some_and(|(_, rest)| rest.contains("\" is invalid: spec.")) {
            Self::Invalid
        } else {
            Self::Other
        }
    }
}

/// The name that is too long: `Invalid value: "x": must be no more than 63 characters`.
pub(super) fn long_name(message: &str) -> &str {
    let before = message.split_once("\": must be no more than 63").map_or("", |(before, _)| before);
    before.rsplit_once("Invalid value: \"").map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_refusals_apart() {
        let quota = "pods \"grafana-0\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10";
        assert_eq!(Refusal::of(quota), Refusal::Quota);
        let name = "Pod \"x-0\" is invalid: metadata.labels: Invalid value: \"x-6d974b664d\": must be no more than 63 characters";
        assert_eq!(Refusal::of(name), Refusal::LongName);
        assert_eq!(long_name(name), "x-6d974b664d");
        let level = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"";
        assert_eq!(Refusal::of(level), Refusal::PodSecurity);
        let account = "error looking up service account monitoring/x: serviceaccount \"x\" not found";
        assert_eq!(Refusal::of(account), Refusal::ServiceAccount);
        let field = "create Pod x-0 in StatefulSet x failed error: Pod \"x-0\" is invalid: spec.containers[2].image: Required value";
        assert_eq!(Refusal::of(field), Refusal::Invalid);
        let webhook = "admission webhook \"w.example\" denied the request: the image is invalid";
        assert_eq!(Refusal::of(webhook), Refusal::Other);
    }
}
