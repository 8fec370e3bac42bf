//! Label selectors, evaluated.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::snapshot::kubernetes::Map;

/// All parts of a selector must hold; an empty one selects everything.
pub(crate) fn selects(selector: &LabelSelector, labels: &Map) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    let value = |key: &str| labels.get(key).map(String::as_str);
    equal && selector.match_expressions.iter().flatten().all(|r| meets(r, value(&r.key)) == Some(true))
}

/// Whether a value of the label, or its lack, meets a requirement; `None` where its operator is not known.
pub(crate) fn meets(requirement: &LabelSelectorRequirement, value: Option<&str>) -> Option<bool> {
    let listed = || value.is_some_and(|v| requirement.values.iter().flatten().any(|w| w == v));
    match requirement.operator.as_str() {
        "In" => Some(listed()),
        "NotIn" => Some(!listed()),
        "Exists" => Some(value.is_some()),
        "DoesNotExist" => Some(value.is_none()),
        _ => None,
    }
}

/// `a=b,c in (d,e)`, as kubectl takes it.
pub(crate) fn words(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(k, v)| format!("{k}={v}"));
    let others = selector.match_expressions.iter().flatten().map(|r| {
        let values = r.values.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        match r.operator.as_str() {
            "In" => format!("{} in ({values})", r.key),
            "NotIn" => format!("{} notin ({values})", r.key),
            "DoesNotExist" => format!("!{}", r.key),
            _ => r.key.clone(),
        }
    });
    equal.chain(others).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_must_hold() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["test"]},
                {"key": "off", "operator": "DoesNotExist"}
            ]
        }))
        .expect("a selector");
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert!(selects(&selector, &labels(&[("app", "web")])));
        assert!(!selects(&selector, &labels(&[("app", "web"), ("tier", "test")])));
        assert!(!selects(&selector, &labels(&[("app", "web"), ("off", "")])));
        assert!(selects(&LabelSelector::default(), &labels(&[])));
        assert_eq!(words(&selector), "app=web,tier notin (test),!off");
    }
}
