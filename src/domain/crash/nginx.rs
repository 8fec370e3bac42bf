//! nginx before a store or before Grafana: a configuration that it cannot start with.

use crate::domain::crash::{Class, Crash};
use crate::text::pattern::pattern;

/// Reads a whole log: what nginx says last before it ends.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let emergency = pattern!(r"(?m)\[emerg\] (?:\d+#\d+: )?([^\n]+)$");
    let said = emergency.captures_iter(text).last()?;
    let said = said[1].trim();
    if let Some(found) = pattern!(r"socket\(\) (\[::\]:\d+) failed \(97: Address family not supported").captures(said) {
        let address = &found[1];
        let reason = format!("cannot listen on {address}: its node has no IPv6");
        let advice = format!(
            "Take the line `listen {address};` out. In the chart of Loki it is gateway.nginxConfig.enableIPv6: false, in that of Mimir gateway.nginx.config.enableIPv6: false."
        );
        return Some(Crash::new(Class::Config, reason).file(FILE).what(address).advice(advice));
    }
    let found = pattern!(r"^(.+) in (/\S+):(\d+)$").captures(said)?;
    let wrong = [
        "unknown directive",
        "invalid number of arguments",
        "unexpected ",
        "directive is not allowed",
        "directive is duplicate",
        "is not terminated",
        "invalid parameter",
        "invalid value",
    ];
    if !wrong.iter().any(|w| found[1].contains(w)) {
        return None;
    }
    let what = pattern!(r#"^[^"]*"([^"]+)""#).captures(&found[1]).map(|c| c[1].to_owned());
    let crash = Crash::new(Class::Config, &found[1]).file(&found[2]);
    let advice = "nginx does not know the line as it stands there: correct it, or take it out. A snippet of a chart's values stands in the block for which it is named (server or http).";
    Some(Crash { line: found[3].parse().ok(), what, ..crash }.advice(advice))
}

const FILE: &str = "/etc/nginx/nginx.conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_tells_what_it_cannot_start_with() {
        let socket = "2026/11/21 02:53:50 [emerg] 1#1: socket() [::]:8080 failed (97: Address family not supported by protocol)\nnginx: [emerg] socket() [::]:8080 failed (97: Address family not supported by protocol)\n";
        let crash = read(socket).expect("a crash");
        assert_eq!((crash.class, crash.file.as_deref()), (Class::Config, Some(FILE)));
        assert!(crash.reason.contains("no IPv6") && crash.advice.contains("enableIPv6: false"), "{crash:?}");
        let directive = "nginx: [emerg] unknown directive \"proxy_reed_timeout\" in /etc/nginx/nginx.conf:12\n";
        let crash = read(directive).expect("a crash");
        assert_eq!((crash.line, crash.what.as_deref()), (Some(12), Some("proxy_reed_timeout")));
        // A name that does not resolve is no slip of the file.
        assert!(read("nginx: [emerg] host not found in upstream \"loki\" in /etc/nginx/nginx.conf:9\n").is_none());
        assert!(read("2026/11/21 02:53:50 [error] 1#1: x").is_none());
    }
}
