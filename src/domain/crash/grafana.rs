//! Grafana.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::log_line::{Level, Line};
use crate::text::pattern::pattern;

/// Grafana 8 to 10, told to go from one kind of alerting to the other where that would delete rules.
const FORCED: &str = "It runs with the old alerting (section alerting) on a database that has rules of the new one. Keep the new one: unified_alerting.enabled = true and alerting.enabled = false in grafana.ini (GF_UNIFIED_ALERTING_ENABLED, GF_ALERTING_ENABLED). force_migration = true deletes the rules, contact points and silences that were made since.";

/// What PostgreSQL and MySQL answer who connects, and what it means.
const DATABASE: &[(&[&str], &str)] = &[
    (
        &["\", no encryption", "\", ssl off", "connections using insecure transport are prohibited"],
        "The server admits no unencrypted connection of this user; mostly it takes encrypted ones only (RDS: rds.force_ssl, on from PostgreSQL 15; require_secure_transport of MySQL): set ssl_mode = require in [database] (GF_DATABASE_SSL_MODE). With verify-full Grafana also checks the certificate, and needs the authority's file in ca_cert_path; MySQL wants true or skip-verify. If that is refused as well, an entry in pg_hba.conf is missing.",
    ),
    (
        &["no pg_hba.conf entry", "pg_hba.conf rejects connection"],
        "PostgreSQL has no entry in its pg_hba.conf that lets this user into this database from this address: add one there, or name a user and a database that have one.",
    ),
    (
        &["permission denied for schema", "permission denied for table", "must be owner of"],
        "The user may connect and may not make tables there: since PostgreSQL 15 only the owner of a database may write to its schema public. On the server, in Grafana's database: GRANT USAGE, CREATE ON SCHEMA public TO <user>, or ALTER DATABASE <database> OWNER TO <user>. Tables that another user made have to be his as well.",
    ),
    (
        &[
            "server does not support ssl",
            "ssl is not enabled on the server",
            "tls requested but server does not support tls",
        ],
        "The server offers no encryption: set ssl_mode = disable in [database] (GF_DATABASE_SSL_MODE), or switch TLS on there.",
    ),
    (
        &["is not allowed to connect to this mysql server", "error 1044", "error 1130"],
        "MySQL knows no such user from the pod's address, or does not let it into this database: CREATE USER and GRANT for '<user>'@'%' (or the network of the pods).",
    ),
];

/// Reads a line of Grafana's log.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if line.level == Level::Warning {
        return None;
    }
    let text = line.text();
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let of = |class| Some(Crash::new(class, inner(&text)));
    if let Some(both) = both_set(line.raw) {
        let reason = format!("{both} and {both}__FILE are both set");
        return of(Class::TwoSources).map(|c| Crash { reason, ..c }.what(both));
    }
    if has(&["only one datasource per organization can be marked as default"]) {
        return of(Class::SecondDefault).map(|c| c.advice("Set isDefault: false in all datasources but one."));
    }
    if has(&["database is locked"]) {
        return of(Class::DatabaseLocked);
    }
    if has(&[
        "readonly database",
        "unable to open database file",
        "is not writable",
        "you may have issues with file permissions",
    ]) || has(&["permission denied"]) && has(&["/var/lib/grafana", "/var/log/grafana", "can't create directory"])
    {
        return of(Class::Permission).map(|c| c.file("/var/lib/grafana"));
    }
    if has(&["database or disk is full"]) {
        return of(Class::DiskFull);
    }
    if has(&["database disk image is malformed", "file is not a database"]) {
        return of(Class::DatabaseDamaged).map(|c| c.file("/var/lib/grafana/grafana.db").what("grafana.db"));
    }
    if has(&["disk i/o error"]) {
        return of(Class::Device).map(|c| c.file("/var/lib/grafana/grafana.db"));
    }
    if has(&[
        "set force_migration=true",
        "option '[alerting].enabled' cannot be true",
        "invalid setting [alerting].enabled",
    ]) {
        let advice = if has(&["force_migration"]) {
            FORCED
        } else {
            "Grafana 11 and later has no legacy alerting: take enabled out of [alerting] (values: grafana.ini.alerting; GF_ALERTING_ENABLED), and leave [unified_alerting] on. Rules of the legacy alerting are migrated by 10.4 alone: run that once before, if there are any."
        };
        let reason = text.trim_start_matches("panic: ").split(" For more information").next().unwrap_or_default();
        return Some(Crash::new(Class::Ini, inner(reason)).file("/etc/grafana/grafana.ini").advice(advice));
    }
    // The server refuses the connection or a right: no migration is at fault, though the first one says so. What a database
    // that somebody queries refuses ended nothing.
    let of_query = ["tsdb.", "context"].iter().any(|l| line.get("logger").starts_with(l));
    if let Some((_, advice)) = DATABASE.iter().find(|(words, _)| !of_query && has(words)) {
        return of(Class::Database).map(|c| c.advice(*advice));
    }
    if has(&["migration failed", "failed to migrate"]) {
        return of(Class::Migration);
    }
    // A mount made it, where a file is looked for.
    if let Some(found) = pattern!(r"\bread (/\S+): is a directory").captures(&text) {
        return Some(Crash::new(Class::ConfigDirectory, &found[0]).file(&found[1]));
    }
    if has(&[
        "provisioning error",
        "failed to provision",
        "provisioning.datasources",
        "failed to read plugin provisioning",
        "provision data sources",
    ]) && line.level != Level::Unknown
        || has(&[
            "✗ datasource provisioning",
            "datasource provisioning error",
            "dashboard provisioning error",
            "provisioning config",
            "failure to map file",
            "has invalid suffix",
            "[alerting.alert-rule.",
        ])
    {
        let file = pattern!(r"(\S+\.ya?ml)").captures(&text).map(|c| c[1].to_owned());
        return of(Class::Provisioning).map(|c| c.maybe_file(file).advice(provisioned(&lower)));
    }
    if has(&[
        "failed to download plugin",
        "failed to install plugin",
        "failed to send request: get \"https://grafana.com/api/plugins",
        "plugin not found",
        "plugin version not found",
        "failed to fetch plugin",
        "api returned invalid status",
    ]) || has(&["/api/plugins/"]) && has(&["timeout", "no such host", "refused", "x509", "does not have permission"])
    {
        let name = pattern!(r#"(?:/api/plugins/(?:repo/)?|pluginId=|plugin )"?([a-z0-9]+(?:-[a-z0-9]+)+)"#)
            .captures(&text)
            .map(|c| c[1].to_owned());
        // A page of grafana.com, whose headings say it.
        let page = text.trim_start().starts_with('<');
        let reason = match &name {
            Some(name) if page => format!("grafana.com does not give plugin {name} to whoever asks from here (403)"),
            None if has(&["api returned invalid status"]) => format!("it cannot install a plugin: {}", inner(&text)),
            _ => inner(&text).to_owned(),
        };
        let advice = match () {
            () if page || has(&["403"]) => {
                "grafana.com refuses who asks: mostly the address from which the cluster goes out, or a proxy on the way."
            }
            // `URL;name`, as the start script of images before took it.
            () if pattern!(r"https?://\S+;[a-z0-9-]+").is_match(&text) => {
                "This version takes the whole of `URL;name` for the name of a plugin, and asks grafana.com for it. Write `name@@URL` into GF_PLUGINS_PREINSTALL_SYNC (preinstall_sync in [plugins]) and take it out of GF_INSTALL_PLUGINS, or go back to the version before."
            }
            () if has(&["404", "not found"]) => {
                "grafana.com knows no such plugin, or not that version of it: correct its name."
            }
            () => "",
        };
        return of(Class::Plugin).map(|c| Crash { what: name, reason, ..c }.advice(advice));
    }
    if has(&[
        "failed to parse",
        "key-value delimiter not found",
        "unclosed section",
        "could not parse config",
        "failed to read config",
        "invalid setting",
    ]) && has(&[".ini", "ini", "config", "setting"])
    {
        let file = pattern!(r"(/\S+\.ini)").captures(&text).map(|c| c[1].to_owned());
        return of(Class::Ini).map(|c| c.maybe_file(file));
    }
    if has(&[
        "failed to connect to database",
        "failed to ping database",
        "password authentication failed",
        "error 1045",
        "unknown database",
        "could not open database",
    ]) || has(&["dial tcp"]) && has(&[":3306", ":5432"])
    {
        return of(Class::Database);
    }
    None
}

/// What a provisioned object collides with, or lacks, by the error in lower case.
pub(crate) fn provisioned(lower: &str) -> &'static str {
    let known: &[(&str, &str)] = &[
        (
            "conflicting alert rule",
            "A rule of that title is in that folder already: made by hand, or by another file under another uid. Give one of the two another title, or delete the one that is there (Alerting, in the folder), or list its uid below deleteRules of the file.",
        ),
        (
            "with the same uid already exists",
            "Another datasource has that uid, mostly the same one under its former name: use the name that is there, or list that name below deleteDatasources of the file (name, orgId), so that it is recreated.",
        ),
        (
            "data source not found",
            "The datasource of that name has another uid in the database: write that uid into the file, or list the datasource below deleteDatasources of the file (name, orgId), so that it is recreated with the uid of the file. Dashboards and alert rules name datasources by uid: those that name the old one have to follow.",
        ),
        (
            "empty duration string",
            "A duration of that rule is empty: write `for: 5m`, or `for: 0s` where it is to fire at once. What Grafana exports leaves it empty for such rules.",
        ),
        (
            "invalid relative time range",
            "Each query of the rule needs the time that it is about, in seconds before now: `relativeTimeRange: {from: 600, to: 0}`; only expressions (datasourceUid __expr__) do without.",
        ),
        (
            "has invalid suffix",
            "Grafana takes each entry of that folder for a file of its own and reads .yaml, .yml and .json alone: take what is named out of the mount, or give the key of its ConfigMap such an end.",
        ),
        (
            "does not exist",
            "What the file names has to be there first: provision the contact point or the mute timing beside it, under the very same name.",
        ),
    ];
    known.iter().find(|(words, _)| lower.contains(words)).map_or("", |(_, advice)| advice)
}

/// `error: both GF_DATABASE_PASSWORD and GF_DATABASE_PASSWORD__FILE are set (but are exclusive)`: the image's start reads the
/// value out of the file into the variable, and does not choose.
fn both_set(raw: &str) -> Option<String> {
    let found = pattern!(r"both (\w+) and (\w+?)__FILE are set").captures(raw)?;
    (found[1] == found[2]).then(|| found[1].to_owned())
}

/// The message without what Grafana puts before it.
fn inner(text: &str) -> &str {
    let text = text.trim_start_matches("Error: ").trim_start_matches("✗ ");
    let text =
        text.trim_start_matches("Failed to start grafana. error: ").trim_start_matches("Failed to start grafana: ");
    text.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_and_a_plugin_of_an_old_form() {
        let of = |line: &str| read(&Line::parse(line)).expect("a crash");
        let folder = of(
            "Error: ✗ Datasource provisioning error: read /etc/grafana/provisioning/datasources/a.yml: is a directory",
        );
        assert_eq!(
            (folder.class, folder.file.as_deref()),
            (Class::ConfigDirectory, Some("/etc/grafana/provisioning/datasources/a.yml"))
        );
        let plugin = of(
            "Error: ✗ failed to install plugin https://a.example/x-1.3.zip;acme-x-datasource@: 404: /plugins/https:/a.example/x-1.3.zip;acme-x-datasource/versions does not exist (Grafana v12.4.0 linux-amd64)",
        );
        assert!(plugin.class == Class::Plugin && plugin.advice.contains("`name@@URL`"), "{}", plugin.advice);
    }
}
