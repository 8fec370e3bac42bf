//! Agents that cannot start: Fluent Bit and Fluentd that refuse their own configuration, and the CloudWatch agent that does not
//! get what it asks of its kubelet.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::metrics_server::NO_CERTIFICATE;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::text::near::near;
use crate::text::pattern::pattern;

/// Reads a whole log: what ends them is said before they take their plugins down.
pub(crate) fn read(text: &str) -> Option<Crash> {
    fluent_bit(text).or_else(|| fluentd(text)).or_else(|| cloudwatch(text))
}

/// `cannot get pods from kubelet: call to /pods endpoint failed: Get "https://10.0.1.5:10250/pods": …`: it panics afterwards,
/// while it takes down what never ran.
fn cloudwatch(text: &str) -> Option<Crash> {
    let found = pattern!(r#"call to /\w+ endpoint failed: Get \\?"https://([^/"\s]+)/[^"\\\s]*\\?": ([^"\n]+)"#)
        .captures_iter(text)
        .last()?;
    let (kubelet, said) = (&found[1], found[2].trim());
    // A proxy that does not let a connection through answers with the bare words of a status.
    let of_proxy =
        ["Forbidden", "Proxy Authentication Required", "Bad Gateway", "Service Unavailable", "Gateway Timeout"];
    let (reason, advice) = match () {
        () if said.starts_with(NO_CERTIFICATE) => (
            format!("the kubelet of its node ({kubelet}) has no serving certificate ({NO_CERTIFICATE})"),
            "The kubelet asks the cluster for its certificate and gets none, or not yet: `kubectl get csr` shows whether its requests are approved. Nobody reads its metrics and logs meanwhile; the agent's panic only follows.".to_owned(),
        ),
        () if of_proxy.contains(&said) => (
            format!("it asks the kubelet of its node ({kubelet}) through a proxy, which does not let it through ({said})"),
            "HTTPS_PROXY in its environment sends it there. NO_PROXY has to name the addresses of the nodes (their network as CIDR), besides the metadata service and the API server.".to_owned(),
        ),
        () => return None,
    };
    let crash = Crash::new(Class::Unreached, reason).what(kubelet).advice(advice);
    Some(Crash { said: redact(&shorten(&found[0], 300)), ..crash })
}

fn fluent_bit(text: &str) -> Option<Crash> {
    property(text).or_else(|| plugin(text)).or_else(|| place(text))
}

/// `[config] kubernetes: unknown configuration property 'Merge_JSON_Log'. The following properties are allowed: …`.
fn property(text: &str) -> Option<Crash> {
    let found = pattern!(
        r"\[config\] (\S+): unknown configuration property '([^']+)'\.? ?(?:The following properties are allowed: ([^\n]+))?"
    )
    .captures(text)?;
    let (section, name) = (&found[1], &found[2]);
    let allowed = found.get(3).map_or("", |m| m.as_str()).trim_end_matches('.');
    let known = allowed.split(", ").map(|p| p.trim_start_matches("and ").trim()).filter(|p| !p.is_empty());
    let meant = near(name, known).map(|p| format!(" {p} may be meant.")).unwrap_or_default();
    let advice = format!(
        "This version of Fluent Bit has no {name} in {section}: take it out, or write what took its place.{meant} The log names all that it has."
    );
    let crash = Crash::new(Class::Config, format!("{section} has no property {name}"));
    Some(of_file(crash, name, &found[0]).advice(advice))
}

/// `Output plugin 'grafana-loki' cannot be loaded`, and what newer versions say of it.
fn plugin(text: &str) -> Option<Crash> {
    let found = pattern!(
        r"(?:(?:Input|Output|Filter|Custom|Processor) plugin '([^']+)' cannot be loaded|section '([^']+)' tried to instance a plugin name that (?:doesn't|does not) exist)"
    )
    .captures(text)?;
    let name = found.get(1).or(found.get(2)).map_or("", |m| m.as_str());
    let advice = match name {
        "grafana-loki" => {
            "grafana-loki is a plugin that only the image grafana/fluent-bit-plugin-loki has. Fluent Bit's own output is called loki, and takes host, port and labels in place of Url and Labels of the plugin.".to_owned()
        }
        name => format!(
            "The image has no plugin {name}: correct its name, or use an image that has it (plugins of others are named in plugins.conf)."
        ),
    };
    Some(of_file(Crash::new(Class::Config, format!("its image has no plugin {name}")), name, &found[0]).advice(advice))
}

/// `[config] error in /fluent-bit/etc/conf/fluent-bit.conf:12: undefined key`, `Error in line 12: Key has no value`.
fn place(text: &str) -> Option<Crash> {
    let newer = pattern!(r"\[config\] error in (/[^\s:]+):(\d+): ([^\n]+)").captures(text);
    let older = || pattern!(r"File ([^\s]+)\s*\n\s*Error in line (\d+): ([^\n]+)").captures(text);
    let found = newer.or_else(older)?;
    let crash = Crash { line: found[2].parse().ok(), ..Crash::new(Class::Config, found[3].trim()) };
    let crash = Crash { said: redact(&found[0]), ..crash }.maybe_file(Some(&found[1]).filter(|f| f.starts_with('/')));
    Some(crash.advice("Each line below a section is a key, a space and a value, all indented alike."))
}

/// `config error file="/fluentd/etc/fluent.conf" error_class=Fluent::ConfigError error="…"`.
fn fluentd(text: &str) -> Option<Crash> {
    let found = pattern!(
        r#"(?:config error file="([^"]+)" error_class=Fluent::Config\w*Error|unexpected error error_class=\S*UnsupportedProductError) error="((?:[^"\\]|\\.)*)""#
    )
    .captures_iter(text)
    .last()?;
    let said = shorten(&found[2].replace("\\\"", "\"").replace("\\n", " "), 300);
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    let missing = pattern!(r"Unknown (\w+) plugin '([^']+)'").captures(&said);
    let advice = match &missing {
        Some(plugin) => format!(
            "The image lacks the gem that brings {} {}: use an image that has it (tags of fluent/fluentd-kubernetes-daemonset name the output), or build one with it.",
            &plugin[1], &plugin[2]
        ),
        None if has(&["not compatible for your Elasticsearch", "server is not Elasticsearch", "supported distribution"]) => {
            "The client of Elasticsearch 7.14 and later takes nothing else than Elasticsearch, and that of version 8 none but version 8: for OpenSearch use an image and an output for OpenSearch (@type opensearch), for Elasticsearch 7 an image with the client of version 7, by a tag that is fixed.".to_owned()
        }
        None => String::new(),
    };
    let what = missing.as_ref().map(|p| p[2].to_owned());
    let crash = Crash { what, ..Crash::new(Class::Config, &said) }.detail(Detail::MayLack);
    Some(Crash { said: redact(&found[0]), ..crash }.maybe_file(found.get(1).map(|f| f.as_str())).advice(advice))
}

/// The name stands in the file that the program was given, or in one that it includes.
fn of_file(crash: Crash, name: &str, said: &str) -> Crash {
    Crash { said: redact(&shorten(said, 300)), ..crash }.what(name).detail(Detail::MayLack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<(String, String)> {
        read(text).map(|c| (c.reason, c.advice))
    }

    #[test]
    fn fluent_bit_names_what_it_does_not_know() {
        let log = "[2026/11/21 02:53:50] [error] [config] kubernetes: unknown configuration property 'Merge_Logs'. The following properties are allowed: buffer_size, merge_log, keep_log, and dns_retries.\n[2026/11/21 02:53:50] [ help] try the command: /fluent-bit/bin/fluent-bit -F kubernetes -h\n\n[2026/11/21 02:53:50] [ info] [input] pausing tail.0\n[2026/11/21 02:53:50] [error] [lib] backend failed\n";
        let (said, advice) = reason(log).expect("a crash");
        assert_eq!(said, "kubernetes has no property Merge_Logs");
        assert!(advice.contains("merge_log may be meant"), "{advice}");
        let old = "Output plugin 'grafana-loki' cannot be loaded\nError: You must specify an output target. Aborting\n";
        assert!(
            reason(old).is_some_and(|(said, advice)| said.contains("grafana-loki") && advice.contains("called loki"))
        );
        let new = "[error] [config] section 'lokki' tried to instance a plugin name that doesn't exist\n[error] configuration file contains errors, aborting.\n";
        assert!(reason(new).is_some_and(|(said, _)| said.contains("no plugin lokki")));
        let place = "[2026/11/21 02:53:50] [error] [config] error in /fluent-bit/etc/conf/fluent-bit.conf:12: undefined key - check config is in valid classic format\n";
        assert_eq!(
            read(place).map(|c| (c.file.unwrap_or_default(), c.line)),
            Some(("/fluent-bit/etc/conf/fluent-bit.conf".into(), Some(12)))
        );
    }

    #[test]
    fn fluentd_names_file_and_plugin() {
        let log = "2026-11-21 02:53:50 +0000 [error]: config error file=\"/fluentd/etc/fluent.conf\" error_class=Fluent::ConfigError error=\"Unknown output plugin 'loki'. Run 'gem search -rd fluent-plugin' to find plugins\"\n2026-11-21 02:53:50 +0000 [info]: Received graceful stop\n";
        let crash = read(log).expect("a crash");
        assert_eq!(
            (crash.class, crash.file.as_deref(), crash.what.as_deref()),
            (Class::Config, Some("/fluentd/etc/fluent.conf"), Some("loki"))
        );
        let product = "2022-02-23 04:22:00 +0000 [error]: unexpected error error_class=Elasticsearch::UnsupportedProductError error=\"The client noticed that the server is not Elasticsearch and we do not support this unknown product.\"\n";
        assert!(reason(product).is_some_and(|(_, advice)| advice.contains("@type opensearch")));
        assert!(
            read(
                "2026-11-21 02:53:50 +0000 [info]: parsing config file is succeeded path=\"/fluentd/etc/fluent.conf\"\n"
            )
            .is_none()
        );
    }

    #[test]
    fn the_kubelet_that_an_agent_asks() {
        let with = |error: &str| {
            format!(
                "2026-11-21T02:53:50Z E! {{\"msg\":\"Failed to start component\",\"error\":\"cannot get pods from kubelet: call to /pods endpoint failed: Get \\\"https://10.0.132.180:10250/pods\\\": {error}\",\"type\":\"Receiver\"}}\npanic: runtime error: invalid memory address or nil pointer dereference\n"
            )
        };
        let crash = read(&with("remote error: tls: internal error")).expect("a crash");
        assert_eq!((crash.class, crash.what.as_deref()), (Class::Unreached, Some("10.0.132.180:10250")));
        let old = "Error: cannot start pipelines: cannot get pod from kubelet, err: call to /pods endpoint failed: Get \"https://10.0.132.180:10250/pods\": Forbidden\n";
        assert!(read(old).is_some_and(|c| c.advice.contains("NO_PROXY")));
        assert!(
            read(&with("dial tcp 10.0.132.180:10250: connect: connection refused")).is_none(),
            "told as of any other"
        );
    }
}
