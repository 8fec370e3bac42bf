//! What a running Grafana says of parts of itself that do not work: logins, its own secrets, rendering, plugins.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::domain::grafana::url::Written;
use crate::domain::text::log_line::{Level, Line};
use crate::model::{Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a failure of something that people do counts.
const RECENT: i64 = 3600;
/// The same of what is tried again all the time.
const NOW: i64 = 900;
/// Failures from which on it is not one person's mistake.
const SEVERAL: usize = 3;
/// Seconds for which peers are not found, from which on it is more than a replica that starts.
const LASTS: i64 = 120;

/// A part, and in which way it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What it keeps encrypted in its database does not decrypt with its key.
    Secrets,
    /// The identity provider does not accept Grafana itself.
    LoginClient,
    /// The identity provider cannot be reached, or its certificate is not accepted.
    LoginReach,
    /// The cookie of the beginning of a login is gone at its end.
    LoginState,
    /// The provider says too little of the user: no e-mail, no role.
    LoginUser,
    /// Who logs in is in none of the organisations, groups or domains that Grafana wants.
    LoginMember,
    /// Who logs in is new, and Grafana makes no users.
    SignUp,
    /// What asks in somebody's name (auth proxy) comes from an address that may not.
    ProxyAddress,
    /// Who logs in is somebody else in Grafana's database, or may not have the role that the provider gives.
    UserSync,
    /// Live updates are refused: the browser's address is not the `root_url`.
    Origin,
    /// What browsers send is refused: what is before Grafana does not pass on the host at which it is opened.
    Forwarded,
    /// The directory (LDAP) cannot be asked.
    Ldap,
    /// The directory knows who logs in, and none of their groups is one of those that Grafana maps.
    LdapGroups,
    /// Replicas do not find each other, and each sends every alert.
    AlertingPeers,
    /// Sessions are not found: users are logged out.
    Sessions,
    /// Its database takes no more connections, or none at all.
    Database,
    /// Something between Grafana and a datasource gives up before the answer is there.
    GatewayTimeout,
    /// Grafana itself gives up before the answer is there.
    OwnTimeout,
    /// Prometheus ends the query.
    QueryTimeout,
    /// The image renderer.
    Rendering,
    /// A plugin is not loaded, for lack of a signature.
    Signature,
    /// A plugin is not loaded, as it is made with Angular.
    Angular,
    /// Plugins that are to be installed at the start cannot be fetched.
    PluginInstall,
    /// What a datasource needs is not installed.
    PluginMissing,
}

impl Part {
    /// Plugins are looked at when Grafana starts, and then no more.
    fn is_of_start(self) -> bool {
        matches!(self, Self::Signature | Self::Angular | Self::PluginInstall)
    }

    /// Said every few seconds for as long as it is so: what was said before is over.
    fn goes_on(self) -> bool {
        self == Self::AlertingPeers
    }
}

/// What was said of one part.
#[derive(Debug, Clone)]
pub(crate) struct Said<'a> {
    pub(crate) part: Part,
    pub(crate) log: &'a ContainerLog,
    pub(crate) times: usize,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) error: String,
    pub(crate) line: String,
    /// The plugin, or several of them, the client of the login (`generic_oauth`), or the origin that is refused.
    pub(crate) what: String,
}

/// What the logs of the stack's Grafanas say.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Said<'_>>, Gap> {
    let logs = snap.logs_of(Program::Grafana)?;
    Ok(logs.into_iter().filter(|l| !l.previous).flat_map(|log| of_log(snap, log)).collect())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Said<'a>> {
    let mut found: BTreeMap<(Part, String), Said<'a>> = BTreeMap::new();
    let tells = |l: &Line<'_>| matches!(l.level, Level::Error | Level::Warning) || is_foreign_origin(l);
    for line in log.text.lines().map(Line::parse).filter(tells) {
        let Some((part, what)) = part(&line) else { continue };
        let old = line.is_older(snap.collected_at, if part.goes_on() { NOW } else { RECENT });
        if old && !part.is_of_start() {
            continue;
        }
        let said = found.entry((part, what.clone())).or_insert_with(|| Said {
            part,
            log,
            times: 0,
            first: line.at,
            last: None,
            error: String::new(),
            line: String::new(),
            what,
        });
        said.times += 1;
        said.last = line.at.or(said.last);
        // That a user could not be joined is said by what follows the reason.
        if said.error.is_empty() || !line.err.starts_with("[user.sync") {
            said.error = if line.err.is_empty() { line.text() } else { line.err.clone() };
        }
        line.raw.clone_into(&mut said.line);
    }
    // A replica that starts is not found for a moment.
    let lasts = |s: &Said<'_>| {
        let span = s.first.zip(s.last).map_or(LASTS, |(first, last)| last.as_second() - first.as_second());
        s.part != Part::AlertingPeers || span >= LASTS
    };
    let is_enough = |s: &Said<'_>| s.part.is_of_start() || (s.times >= SEVERAL && lasts(s));
    one_of_plugins(found.into_values().filter(is_enough).collect(), &log.text)
}

/// Plugins that are fetched from one place fail together, and so do those for which this Grafana is too new: each is one fault.
/// One that was installed later is none.
fn one_of_plugins<'a>(all: Vec<Said<'a>>, text: &str) -> Vec<Said<'a>> {
    let is_there = |id: &str| {
        text.lines().map(Line::parse).any(|l| l.msg.contains("successfully installed") && l.get("pluginId") == id)
    };
    let mut all: Vec<Said<'a>> =
        all.into_iter().filter(|s| s.part != Part::PluginInstall || !is_there(&s.what)).collect();
    for part in [Part::PluginInstall, Part::Angular] {
        let (of_part, mut rest): (Vec<Said<'a>>, Vec<Said<'a>>) = all.into_iter().partition(|s| s.part == part);
        let ids: Vec<&str> = of_part.iter().map(|s| s.what.as_str()).filter(|id| !id.is_empty()).collect();
        let ids = ids.join(", ");
        rest.extend(of_part.into_iter().next_back().map(|last| Said { what: ids, ..last }));
        all = rest;
    }
    all
}

/// A request whose Origin is not its Host. Grafana says so to the browser alone (`origin not allowed`, 19 bytes with its line end) and
/// before it knows who asks; its log tells of the request. Other refusals (403) are longer: they are JSON.
fn is_foreign_origin(line: &Line<'_>) -> bool {
    line.msg == "Request Completed"
        && line.get("status") == "403"
        && line.get("size") == "19"
        && line.get("userId") == "0"
        && matches!(line.get("method"), "POST" | "PUT" | "PATCH" | "DELETE")
}

/// `https://grafana.corp` of the address of a page.
fn origin_of(page: &str) -> Option<String> {
    let (scheme, rest) = page.split_once("://")?;
    let host = rest.split(['/', '?']).next().filter(|h| !h.is_empty())?;
    Some(format!("{scheme}://{host}"))
}

fn part(line: &Line<'_>) -> Option<(Part, String)> {
    let text = line.text();
    if is_foreign_origin(line) {
        return origin_of(line.get("referer")).filter(|o| !is_forwarded(o)).map(|o| (Part::Forwarded, o));
    }
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let logger = line.get("logger");
    let refused = ["has no signature", "has an invalid signature", "has modified signature", "signature is invalid"];
    if has(&refused) && (has(&["plugin"]) || logger.starts_with("plugin")) {
        let named = [line.get("pluginId"), line.get("pluginID"), line.get("plugin")];
        let quoted = || text.split("plugin '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default();
        let id = named.into_iter().find(|n| !n.is_empty()).unwrap_or_else(quoted);
        return Some((Part::Signature, id.to_owned()));
    }
    if has(&[
        "Failed to decrypt secret",
        "error decrypting secret value",
        "Failed to lookup data key",
        "data key not found",
        "cipher: message authentication failed",
        "unable to decrypt",
    ]) {
        return Some((Part::Secrets, String::new()));
    }
    // A datasource of the same kind of database is not Grafana's own.
    let own_database = !logger.starts_with("tsdb.");
    if own_database
        && has(&[
            "sorry, too many clients already",
            "remaining connection slots are reserved",
            "Too many connections",
            "Error 1040",
            "Error 1203",
        ])
    {
        return Some((Part::Database, String::new()));
    }
    let fetches = ["Failed to install plugin", "Failed to get plugin info", "Failed to download plugin"];
    if logger.starts_with("plugin") && fetches.iter().any(|f| line.msg.starts_with(f)) {
        let of_url = || pattern!(r"/api/plugins/([\w-]+)").captures(&text).map(|f| f[1].to_owned());
        let id = Some(line.get("pluginId")).filter(|id| !id.is_empty()).map(str::to_owned);
        return Some((Part::PluginInstall, id.or_else(of_url).unwrap_or_default()));
    }
    if has(&["[plugin.notRegistered]", "plugin not registered", "no installed plugin with that id"]) {
        return Some((Part::PluginMissing, String::new()));
    }
    if logger.starts_with("ngalert") && line.get("component") == "cluster" && has(UNREACHED) {
        return Some((Part::AlertingPeers, line.get("addr").to_owned()));
    }
    if has(&["is not from the authentication proxy"]) {
        return Some((Part::ProxyAddress, address(&text).to_owned()));
    }
    if text.to_ascii_lowercase().contains("user does not belong in any of the specified") {
        // Two lines say it, and only the directory's own names the groups.
        return (logger == "ldap").then(|| (Part::LdapGroups, String::new()));
    }
    if has(&["signup is disabled", "signup is not allowed", "sign up is disabled", "signup disabled"]) {
        let by = [line.get("client"), line.get("auth_module")].into_iter().find(|c| !c.is_empty()).unwrap_or_default();
        return Some((Part::SignUp, by.trim_start_matches("auth.client.").trim_start_matches("oauth_").to_owned()));
    }
    if has(&["user token not found"]) {
        return Some((Part::Sessions, String::new()));
    }
    if line.msg == "Request Origin is not authorized" {
        let named = [line.get("requestOrigin"), line.get("origin")].into_iter().find(|o| !o.is_empty())?;
        return (!is_forwarded(named)).then(|| (Part::Origin, named.to_owned()));
    }
    if has(&["user already exists", "cannot remove last organization admin", "[user.sync."]) {
        let by = [line.get("client"), line.get("auth_module")].into_iter().find(|c| !c.is_empty()).unwrap_or_default();
        let by = by.trim_start_matches("auth.client.").trim_start_matches("oauth_");
        return (!by.is_empty()).then(|| (Part::UserSync, by.to_owned()));
    }
    if has(&["angular plugins are not supported"]) {
        return Some((Part::Angular, line.get("pluginId").to_owned()));
    }
    if logger.starts_with("tsdb.") && has(&["query timed out in expression evaluation"]) {
        return Some((Part::QueryTimeout, line.get("dsName").to_owned()));
    }
    // Bare words of a deadline are those of the store, whose own limit ended the query; Go's client names the URL before them.
    let patience = ["timeout awaiting response headers", "Client.Timeout exceeded", "\": context deadline exceeded"];
    if logger.starts_with("tsdb.") && has(&patience) {
        return Some((Part::OwnTimeout, line.get("dsName").to_owned()));
    }
    if logger.starts_with("tsdb.") && (line.get("statusCode") == "504" || has(&["504 Gateway Time"])) {
        return Some((Part::GatewayTimeout, line.get("dsName").to_owned()));
    }
    if logger.starts_with("rendering") && line.level == Level::Error {
        return Some((Part::Rendering, String::new()));
    }
    // Its own account, with which it asks the directory for all others.
    if has(&["Cannot authenticate admin user in LDAP"]) {
        return Some((Part::Ldap, String::new()));
    }
    if text.contains("LDAP Result Code") {
        // A person who mistypes a password is told the same code, by the search that follows the bind.
        let mistyped = has(&["invalid username or password"]);
        return (!mistyped).then(|| (Part::Ldap, String::new()));
    }
    login(line, &text)
}

/// The way to somebody is not there.
const UNREACHED: &[&str] = &[
    "no such host",
    "i/o timeout",
    "connection refused",
    "deadline exceeded",
    "no route to host",
    "server misbehaving",
];

/// `… from 10.0.131.44 is not from the authentication proxy`.
fn address(text: &str) -> &str {
    let before = text.split_once(" is not from the authentication proxy").map_or("", |(before, _)| before);
    before.rsplit(' ').next().filter(|a| a.parse::<IpAddr>().is_ok()).unwrap_or_default()
}

/// The address of somebody's own port-forward, or of the pod itself: nobody else opens Grafana there.
fn is_forwarded(origin: &str) -> bool {
    let is_own = |host: &str| host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok();
    Written::parse(origin).is_some_and(|url| is_own(&url.host))
}

fn login(line: &Line<'_>, text: &str) -> Option<(Part, String)> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let client = line.get("client").trim_start_matches("auth.client.");
    // A token that the browser brings is checked with the provider's keys, which have to be fetched.
    if client == "jwt" {
        let fails = has(UNREACHED) || has(&["x509:", "Client.Timeout"]);
        return fails.then(|| (Part::LoginReach, client.to_owned()));
    }
    let oauth = client.contains("oauth")
        || ["azuread", "okta", "github", "gitlab", "google", "keycloak"].iter().any(|p| client.contains(p))
        || has(&["auth.oauth", "login.OAuthLogin", "oauth2:", "OAuth"]);
    if !oauth {
        return None;
    }
    let reach = [
        "no such host",
        "i/o timeout",
        "connection refused",
        "deadline exceeded",
        "x509:",
        "Client.Timeout",
        "no route to host",
        "network is unreachable",
        "connection reset",
        "TLS handshake timeout",
        "proxyconnect",
        "\": EOF",
        // It is reached, and has failed itself.
        "cannot fetch token: 50",
    ];
    let part = match () {
        () if has(&reach) => Part::LoginReach,
        () if has(&["missing saved", "oauth.state", "state mismatch", "state not provided", "pkce"]) => {
            Part::LoginState
        }
        () if has(&[
            "invalid_client",
            "unauthorized_client",
            "invalid client",
            "AADSTS7000215",
            "AADSTS7000222",
            "redirect_uri",
            "AADSTS50011",
            "invalid_grant",
            "token.exchange",
            "NewTransportWithCode",
        ]) =>
        {
            Part::LoginClient
        }
        () if has(&[
            "not a member of one of the required",
            "not a member of any",
            "missing-org",
            "email domain not",
            "domain not allowed",
            "not present in the allowed domains",
        ]) =>
        {
            Part::LoginMember
        }
        () if has(&["userinfo", "user info", "email", "role"]) => Part::LoginUser,
        () => return None,
    };
    Some((part, client.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog { program: Some(Program::Grafana), text: text.into(), ..ContainerLog::default() };
        *snap.component_logs = Ok(vec![log]);
        failing(&snap).expect("a log").into_iter().map(|s| s.part).collect()
    }

    #[test]
    fn tells_parts_by_their_words() {
        for (line, part) in [
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to authenticate request\" client=auth.client.azuread error=\"[auth.oauth.token.exchange] failed to exchange code to token: Post \\\"https://login.microsoftonline.com/t/oauth2/v2.0/token\\\": read tcp 100.64.88.216:51118->20.190.190.131:443: read: connection reset by peer\"",
                Part::LoginReach,
            ),
            (
                "logger=ldap t=2026-11-21T02:50:11Z level=error msg=\"Cannot authenticate admin user in LDAP. Verify bind configuration\" error=\"invalid username or password\"",
                Part::Ldap,
            ),
            (
                "logger=secrets t=2026-11-21T02:50:11Z level=error msg=\"Failed to decrypt secret\" error=\"data key not found\"",
                Part::Secrets,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=warn msg=\"Failed to authenticate request\" client=auth.client.generic_oauth error=\"[auth.oauth.token.exchange] failed to exchange code to token: oauth2: \\\"unauthorized_client\\\" \\\"Invalid client or Invalid client credentials\\\"\"",
                Part::LoginClient,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to authenticate request\" client=auth.client.generic_oauth error=\"[auth.oauth.token.exchange] failed to exchange code to token: Post \\\"https://id.corp/token\\\": dial tcp: lookup id.corp: no such host\"",
                Part::LoginReach,
            ),
            (
                "logger=context t=2026-11-21T02:50:11Z level=error msg=\"login.OAuthLogin(missing saved state)\" error=x",
                Part::LoginState,
            ),
            (
                "logger=live t=2026-11-21T02:50:11Z level=warn msg=\"Request Origin is not authorized\" requestOrigin=https://grafana.corp requestHost=grafana.corp appUrl=http://localhost:3000/ allowedOrigins=",
                Part::Origin,
            ),
            (
                "logger=user.sync t=2026-11-21T02:50:11Z level=error msg=\"Failed to create user\" error=\"user already exists\" auth_module=oauth_generic_oauth auth_id=f:1",
                Part::UserSync,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=warn msg=\"Failed to run post auth hook\" client=auth.client.azuread id= error=\"cannot remove last organization admin\"",
                Part::UserSync,
            ),
            (
                "logger=rendering renderer=http t=2026-11-21T02:50:11Z level=error msg=\"Failed to send request to remote rendering service\" error=\"Get \\\"http://r:8081/render\\\": EOF\"",
                Part::Rendering,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=warn msg=\"Failed to authenticate request\" client=auth.client.session error=\"user token not found\"",
                Part::Sessions,
            ),
            (
                "logger=context userId=0 t=2026-11-21T02:50:11Z level=error msg=\"Failed to look up user based on cookie\" error=\"pq: sorry, too many clients already\"",
                Part::Database,
            ),
            (
                "logger=tsdb.loki endpoint=queryData dsName=Loki dsUID=loki t=2026-11-21T02:50:11Z level=error msg=\"Error received from Loki\" error=\"<html>504 Gateway Time-out</html>\" statusCode=504",
                Part::GatewayTimeout,
            ),
            (
                "logger=tsdb.prometheus endpoint=queryData dsName=Prometheus t=2026-11-21T02:50:11Z level=error msg=\"Error received from Prometheus\" error=\"timeout: query timed out in expression evaluation\" statusCode=503",
                Part::QueryTimeout,
            ),
            (
                "logger=tsdb.prometheus endpoint=queryData dsName=Prometheus t=2026-11-21T02:50:11Z level=error msg=\"Error received from Prometheus\" error=\"Post \\\"http://p:9090/api/v1/query_range\\\": net/http: timeout awaiting response headers\" statusCode=504",
                Part::OwnTimeout,
            ),
            (
                "logger=ldap t=2026-11-21T02:50:11Z level=error msg=\"User does not belong in any of the specified LDAP groups\" username=j groups=\"[CN=a,DC=corp]\"",
                Part::LdapGroups,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to authenticate request\" client=auth.client.proxy error=\"[auth-proxy.ip-not-allowed] proxy authentication required: request for user (j) from 10.0.131.44 is not from the authentication proxy\"",
                Part::ProxyAddress,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to authenticate request\" client=auth.client.jwt error=\"[jwt.invalid] failed to verify JWT: Get \\\"https://id.corp/jwks.json\\\": dial tcp: lookup id.corp: no such host\"",
                Part::LoginReach,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to authenticate request\" client=auth.client.github error=\"user not a member of one of the required organizations\"",
                Part::LoginMember,
            ),
            (
                "logger=authn.service t=2026-11-21T02:50:11Z level=error msg=\"Failed to run post auth hook\" client=auth.client.generic_oauth id= error=\"[user.sync.internal] signup is disabled\"",
                Part::SignUp,
            ),
            (
                "logger=context t=2026-11-21T02:50:11Z level=error msg=\"Plugin unavailable\" error=\"[plugin.notRegistered] plugin not registered\"",
                Part::PluginMissing,
            ),
            (
                "logger=ngalert.multiorg.alertmanager t=2026-11-21T02:50:11Z level=warn component=cluster msg=refresh result=failure addr=g:9094 err=\"Failed to resolve g:9094: lookup g: no such host\"",
                Part::AlertingPeers,
            ),
            (
                "logger=ldap t=2026-11-21T02:50:11Z level=error msg=\"Error while trying to authenticate\" error=\"LDAP Result Code 49 \\\"Invalid Credentials\\\"\"",
                Part::Ldap,
            ),
        ] {
            let thrice = ["02:48", "02:50", "02:52"].map(|at| format!("{}\n", line.replace("02:50", at)));
            assert_eq!(parts(&thrice.concat()), [part], "{line}");
            assert!(parts(line).is_empty(), "once: {line}");
            assert!(parts(&format!("{}\n", line.replace("02:50", "01:10")).repeat(3)).is_empty(), "old: {line}");
        }
        let fetch = |id: &str| {
            format!(
                "logger=plugin.backgroundinstaller t=2026-11-20T02:42:01Z level=error msg=\"Failed to install plugin\" pluginId={id} version= error=\"Get https://grafana.com/api/plugins/{id}/versions: i/o timeout\"\n"
            )
        };
        assert_eq!(parts(&(fetch("a-app") + &fetch("b-app"))), [Part::PluginInstall], "one fault");
        let info = "logger=plugin.installer t=2026-11-20T02:42:01Z level=error msg=\"Failed to get plugin info\" error=\"Get \\\"https://grafana.com/api/plugins/grafana-piechart-panel\\\": tls: failed to verify certificate: x509: certificate is valid for *.corp.example.net, corp.example.net, not grafana.com\"";
        assert_eq!(parts(info), [Part::PluginInstall], "an older version");
        let later = "logger=plugin.installer t=2026-11-20T02:44:01Z level=info msg=\"Plugin successfully installed\" pluginId=a-app version=1\n";
        assert!(parts(&(fetch("a-app") + later)).is_empty(), "it came in the end");
        let plugin = "logger=plugins.validation t=2026-11-20T02:42:01Z level=error msg=\"Plugin validation failed\" pluginId=flash-panel error=\"plugin 'flash-panel' has no signature\"";
        assert_eq!(parts(plugin), [Part::Signature], "once, at its start");
        let angular = "logger=plugins.validator.angular t=2026-11-20T02:42:01Z level=error msg=\"Refusing to initialize plugin because it's using Angular, which has been disabled\" pluginId=grafana-piechart-panel\nlogger=plugins.validation t=2026-11-20T02:42:01Z level=error msg=\"Plugin validation failed\" pluginId=grafana-piechart-panel error=\"angular plugins are not supported\"";
        assert_eq!(parts(angular), [Part::Angular]);
        let two = format!("{angular}\n{}", angular.replace("piechart", "worldmap"));
        assert_eq!(parts(&two), [Part::Angular], "one Grafana is too new for both");
    }

    #[test]
    fn the_deadline_of_the_store_is_not_that_of_grafana() {
        let line = |error: &str| {
            format!("logger=tsdb.loki endpoint=queryData dsName=Loki t=2026-11-21T02:50:11Z level=error msg=\"Error received from Loki\" error=\"{error}\" status=error\n").repeat(3)
        };
        assert!(parts(&line("context deadline exceeded")).is_empty());
        let own = line("Get \\\"http://loki:3100/loki/api/v1/query_range\\\": context deadline exceeded");
        assert_eq!(parts(&own), [Part::OwnTimeout]);
    }

    #[test]
    fn what_browsers_send_is_refused_for_the_host_that_a_proxy_names() {
        let of = |method: &str, size: u32, origin: &str| {
            parts(&format!("logger=context userId=0 orgId=0 uname= t=2026-11-21T02:50:11Z level=info msg=\"Request Completed\" method={method} path=/api/ds/query status=403 remote_addr=10.0.1.9 time_ms=0 duration=92.1µs size={size} referer={origin}/d/abc/overview\n").repeat(3))
        };
        assert_eq!(of("POST", 19, "https://graphs.corp"), [Part::Forwarded]);
        assert!(of("GET", 19, "https://graphs.corp").is_empty());
        assert!(of("POST", 107, "https://graphs.corp").is_empty(), "somebody who may not");
        assert!(of("POST", 19, "http://localhost:3000").is_empty());
    }

    #[test]
    fn a_port_forward_is_one_person_s() {
        let of = |origin: &str| {
            parts(&format!("logger=live t=2026-11-21T02:50:11Z level=warn msg=\"Request Origin is not authorized\" requestOrigin={origin} appUrl=https://grafana.corp/\n").repeat(3))
        };
        for origin in ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:3000", "http://10.0.1.9:3000"] {
            assert!(of(origin).is_empty(), "{origin}");
        }
        assert_eq!(of("https://graphs.corp"), [Part::Origin]);
    }

    #[test]
    fn a_person_who_mistypes_is_no_fault() {
        let line = "logger=authn.service t=2026-11-21T02:50:11Z level=warn msg=\"Failed to authenticate request\" client=auth.client.form error=\"[password-auth.failed] failed to authenticate identity: [identity.not-found] no user found\"\n";
        assert!(parts(&line.repeat(9)).is_empty());
    }
}
