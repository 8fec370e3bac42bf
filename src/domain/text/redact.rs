//! An error's text in one line, without what is secret in it.

use crate::domain::text::shorten::shorten;
use crate::text::pattern::pattern;
use crate::text::redact::mask;

/// Letters of a line that are shown.
const LONGEST: usize = 400;

/// Hides what is secret in an error: all that [`mask`] knows, and paths and queries of URLs outside the cluster (webhook tokens), and user names and
/// passwords. The path of a Service's URL stays: it is what one corrects.
pub(crate) fn redact(text: &str) -> String {
    let url = pattern!(r#"(https?)://(?:[^/@\s"]*@)?([^/\s"?:]+(?::\d+)?)([^\s"?]*)(\?[^\s"]*)?"#);
    let masked = mask(text);
    let hidden = url.replace_all(&masked, |c: &regex::Captures<'_>| {
        // The quote behind it may be escaped.
        let end = if c[0].ends_with('\\') { "\\" } else { "" };
        let (scheme, host, path) = (&c[1], c[2].trim_end_matches('\\'), c[3].trim_end_matches('\\'));
        let name = host.split(':').next().unwrap_or(host);
        // An address of the cluster, of the VPC or of the node is nobody's webhook.
        let is_private = name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_private() || ip.is_link_local());
        let in_cluster = is_private || name.contains(".svc") || !name.contains('.');
        let path = match path {
            "" | "/" => path.to_owned(),
            _ if is_known_by_all(name) || is_of_an_api(path) => path.to_owned(),
            _ if in_cluster => path.trim_end_matches(':').to_owned(),
            _ if path.starts_with("/services/") => "/services/<redacted>".to_owned(),
            _ => "/<redacted>".to_owned(),
        };
        format!("{scheme}://{host}{path}{end}")
    });
    shorten(&hidden, LONGEST)
}

/// A path of nothing but words that the APIs of the stack have: what one corrects, and no webhook's.
fn is_of_an_api(path: &str) -> bool {
    const WORDS: &[&str] = &[
        "-",
        "_bulk",
        "alertmanager",
        "alerts",
        "api",
        "config",
        "distributor",
        "federate",
        "health",
        "healthy",
        "import",
        "insert",
        "label",
        "labels",
        "logs",
        "loki",
        "metrics",
        "mimir",
        "opentelemetry",
        "otlp",
        "probe",
        "prom",
        "prometheus",
        "push",
        "query",
        "query_range",
        "read",
        "ready",
        "receive",
        "rules",
        "select",
        "series",
        "spans",
        "status",
        "targets",
        "tempo",
        "traces",
        "values",
        "write",
    ];
    let is_version = |word: &str| word.strip_prefix('v').is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'9']));
    let end = path.trim_end_matches([':', ',', '.', ')', '/']);
    end.split('/').skip(1).all(|word| WORDS.contains(&word) || is_version(word))
}

/// Hosts whose paths are public: the issuers of EKS clusters, and what AWS writes for its users.
fn is_known_by_all(host: &str) -> bool {
    let is_issuer = ["oidc.eks.", "oidc-eks."].iter().any(|prefix| host.starts_with(prefix));
    let is_of_aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|suffix| host.ends_with(suffix));
    (is_issuer && is_of_aws)
        || (host.starts_with("docs.") && host != "docs.google.com")
        || ["aws.amazon.com", "kubernetes.io"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_secrets_but_not_the_paths_of_services() {
        assert_eq!(
            redact(r#"Post "https://hooks.slack.com/services/T0/B0/XYZ?a=b": EOF"#),
            r#"Post "https://hooks.slack.com/services/<redacted>": EOF"#
        );
        assert_eq!(
            redact(r#"err="Post \"https://hooks.slack.com/services/T0/B0/XYZ\": EOF""#),
            r#"err="Post \"https://hooks.slack.com/services/<redacted>\": EOF""#
        );
        for open in
            ["http://prometheus.monitoring:9090/api/v1/otlp/v1/metrics", "https://mimir.example.org/api/v1/push"]
        {
            assert_eq!(
                redact(&format!("request to {open} responded with 404")),
                format!("request to {open} responded with 404")
            );
        }
        assert_eq!(redact("https://a.example.org/api/v1/T0KEN"), "https://a.example.org/<redacted>");
        assert_eq!(
            redact("https://user:pw@api.telegram.org/bot123:AAF/sendMessage x"),
            "https://api.telegram.org/<redacted> x"
        );
        assert_eq!(redact("http://10.0.159.6:9093/api/v2/alerts x"), "http://10.0.159.6:9093/api/v2/alerts x");
        for public in [
            "for https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
            "Get \"http://169.254.170.23/v1/credentials\": refused",
            "Please visit http://aws.amazon.com/contact-us/ec2-request to ask",
        ] {
            assert_eq!(redact(public), public);
        }
        assert_eq!(
            redact("500: http://hook.ops.svc.cluster.local:5001/alert: x\n"),
            "500: http://hook.ops.svc.cluster.local:5001/alert x"
        );
    }
}
