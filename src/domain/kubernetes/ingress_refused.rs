//! What the admission webhook of ingress-nginx objects to in an Ingress.

use crate::domain::kubernetes::denied::Denied;
use crate::text::pattern::pattern;

/// The webhook's name.
const WEBHOOK: &str = "validate.nginx.ingress.kubernetes.io";

/// Its objection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Objection {
    /// An annotation of this group can do more than the controller allows; of snippets alone it may say so in other words.
    Annotation { group: String },
    /// A path holds what a path of that type may not.
    Path { path: String, path_type: String },
    /// Another Ingress has the host and path: its namespace and name.
    Taken { host: String, path: String, by: String },
    /// nginx would not start with it.
    Configuration { says: String },
}

impl Objection {
    /// That of a refusal; `None` where another webhook refuses, or for another reason.
    pub(crate) fn of(denied: &Denied) -> Option<Self> {
        Self::read(&denied.says).filter(|_| denied.webhook == WEBHOOK)
    }

    /// Reads the webhook's answer; `None` where it says something else.
    fn read(says: &str) -> Option<Self> {
        let says = says.replace("\\\"", "\"");
        if let Some(found) = pattern!(r"annotation group (\w+) contains risky annotation").captures(&says) {
            return Some(Self::Annotation { group: found[1].to_owned() });
        }
        if let Some(found) = pattern!(
            r"nginx\.ingress\.kubernetes\.io/([a-z-]+) annotation cannot be used\. Snippet directives are disabled"
        )
        .captures(&says)
        {
            return Some(Self::Annotation { group: found[1].to_owned() });
        }
        if let Some(found) = pattern!(r"path (\S+) cannot be used with pathType (\w+)").captures(&says) {
            return Some(Self::Path { path: found[1].to_owned(), path_type: found[2].to_owned() });
        }
        if let Some(found) =
            pattern!(r#"host "([^"]*)" and path "([^"]*)" is already defined in ingress (\S+)"#).captures(&says)
        {
            let by = found[3].trim_end_matches(['.', ',']).to_owned();
            return Some(Self::Taken { host: found[1].to_owned(), path: found[2].to_owned(), by });
        }
        let found =
            pattern!(r"nginx: \[emerg\] (.+?)(?: in /tmp/\S+)?(?: nginx: configuration file .*)?$").captures(&says)?;
        Some(Self::Configuration { says: found[1].to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhooks_words() {
        let risky = "annotation group ConfigurationSnippet contains risky annotation based on ingress configuration";
        assert_eq!(Objection::read(risky), Some(Objection::Annotation { group: "ConfigurationSnippet".into() }));
        let off = "nginx.ingress.kubernetes.io/configuration-snippet annotation cannot be used. Snippet directives are disabled by the Ingress administrator";
        assert_eq!(Objection::read(off), Some(Objection::Annotation { group: "configuration-snippet".into() }));
        let path =
            "ingress contains invalid paths: path /.well-known/acme-challenge/x1 cannot be used with pathType Exact";
        let expected = Objection::Path { path: "/.well-known/acme-challenge/x1".into(), path_type: "Exact".into() };
        assert_eq!(Objection::read(path), Some(expected));
        let taken = "host \"grafana.example.com\" and path \"/\" is already defined in ingress monitoring/grafana-old";
        let Some(Objection::Taken { by, .. }) = Objection::read(taken) else { panic!("taken") };
        assert_eq!(by, "monitoring/grafana-old");
        let nginx = "------------------------------------------------------------------------------- Error: exit status 1 nginx: [emerg] unknown directive \"more_sett_headers\" in /tmp/nginx/nginx-cfg1:411 nginx: configuration file /tmp/nginx/nginx-cfg1 test failed";
        let Some(Objection::Configuration { says }) = Objection::read(nginx) else { panic!("configuration") };
        assert_eq!(says, "unknown directive \"more_sett_headers\"");
        assert_eq!(Objection::read("Sharing the host namespace is not allowed"), None);
    }
}
