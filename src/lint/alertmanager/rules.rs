//! What must hold between fields: receivers that exist, URLs that are set, routes that end somewhere.

use std::collections::BTreeSet;

use super::{Verdict, Version, interval};
use crate::lint::go::{duration, is_legacy_label};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem};
use crate::text::near::near_name;

/// Checks what the fields say together.
pub(super) fn check(root: &Node, version: Option<Version>, verdict: &mut Verdict) {
    let mut rules = Rules { root, version, found: Vec::new() };
    rules.global();
    rules.receivers();
    rules.routes();
    rules.intervals();
    rules.inhibitions();
    rules.tracing();
    verdict.refused.append(&mut rules.found);
}

struct Rules<'a> {
    root: &'a Node,
    version: Option<Version>,
    found: Vec<Problem>,
}

/// The text of a setting that is given and not empty.
fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::as_str).filter(|t| !t.is_empty())
}

fn has(node: &Node, key: &str) -> bool {
    text(node, key).is_some()
}

fn any(node: &Node, keys: &[&str]) -> bool {
    keys.iter().any(|key| has(node, key))
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

fn is_given(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|n| !n.is_null())
}

fn is_true(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(Node::is_true)
}

impl<'a> Rules<'a> {
    fn refuse(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.found.push(Problem::new(place, path, message));
    }

    fn refuse_near(&mut self, node: &Node, path: &str, message: String, wrong: &str, known: &BTreeSet<&str>) {
        let near = near_name(wrong, known.iter().copied());
        self.found.push(Problem::new(node.place, path, message).instead(near));
    }

    fn is_older(&self, minor: u16) -> bool {
        self.version.is_some_and(|v| !v.knows(minor))
    }

    fn set_globally(&self, key: &str) -> bool {
        self.root.get("global").is_some_and(|g| has(g, key))
    }

    /// A value and a file that holds it exclude each other.
    fn one_source(&mut self, node: &Node, path: &str, except: &[&str]) {
        for (key, value) in node.entries().unwrap_or_default() {
            let Some(name) = key.as_str().filter(|n| !except.contains(n)) else { continue };
            let Some(plain) = name.strip_suffix("_file") else { continue };
            if !value.is_null() && has(node, name) && has(node, plain) {
                self.refuse(key.place, path, format!("at most one of {plain} & {name} must be configured"));
            }
        }
    }

    fn global(&mut self) {
        let root = self.root;
        let Some(global) = root.get("global").filter(|g| !g.is_null()) else { return };
        self.one_source(global, "global", &[]);
        self.http(global, "global");
        self.tls(global.get("smtp_tls_config"), "global.smtp_tls_config");
        let (token, url) = (["slack_app_token", "slack_app_token_file"], ["slack_api_url", "slack_api_url_file"]);
        let app_url = text(global, "slack_app_url").unwrap_or("https://slack.com/api/chat.postMessage");
        if any(global, &token) && any(global, &url) && text(global, "slack_api_url") != Some(app_url) {
            let why = "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured";
            self.refuse(global.place, "global", why);
        }
    }

    fn tracing(&mut self) {
        let root = self.root;
        if let Some(tracing) = root.get("tracing").filter(|t| !t.is_null() && !has(t, "endpoint")) {
            self.refuse(tracing.place, "tracing", "tracing endpoint must be set");
        }
    }

    fn receivers(&mut self) {
        let root = self.root;
        let mut names = BTreeSet::new();
        for (at, receiver) in list(root, "receivers").iter().enumerate() {
            let path = format!("receivers[{at}]");
            if receiver.is_null() {
                continue;
            }
            let name = text(receiver, "name").unwrap_or_default();
            if name.is_empty() {
                self.refuse(receiver.place, &path, "missing name in receiver");
            } else if !names.insert(name) {
                let place = receiver.get("name").map_or(receiver.place, |n| n.place);
                self.refuse(place, &path, format!("receiver name {name:?} is not unique"));
            }
            let label = receiver.at(&["labels", "name"]).and_then(Node::as_str);
            if label.is_some_and(|l| l != name) {
                self.refuse(
                    receiver.place,
                    &path,
                    format!("receiver label \"name\" must match receiver name {name:?}"),
                );
            }
            for (key, entries) in receiver.entries().unwrap_or_default() {
                let Some(kind) = key.as_str().and_then(|k| k.strip_suffix("_configs")) else { continue };
                for (index, entry) in entries.items().unwrap_or_default().iter().enumerate() {
                    let path = format!("{path}.{kind}_configs[{index}]");
                    self.integration(kind, entry, &path, name);
                }
            }
        }
    }

    fn integration(&mut self, kind: &str, entry: &Node, path: &str, receiver: &str) {
        if entry.is_null() {
            return self.refuse(entry.place, path, format!("missing {kind} config in receiver {receiver:?}"));
        }
        let except: &[&str] = if kind == "email" { &["auth_password_file", "auth_secret_file"] } else { &[] };
        self.one_source(entry, path, except);
        self.http(entry, path);
        let why = match kind {
            "slack" => self.slack(entry),
            "email" => self.email(entry),
            "pagerduty" => (!any(entry, &["routing_key", "routing_key_file", "service_key", "service_key_file"]))
                .then(|| "missing service or routing key in PagerDuty config".to_owned()),
            "webhook" => (!any(entry, &["url", "url_file"]))
                .then(|| "missing URL in webhook config: one of url or url_file must be configured".to_owned()),
            "incidentio" => incidentio(entry),
            "opsgenie" => self.opsgenie(entry),
            "wechat" => self.wechat(entry),
            "pushover" => pushover(entry),
            "victorops" => self.victorops(entry),
            "sns" => sns(entry),
            "telegram" => self.telegram(entry),
            "discord" | "msteams" | "msteamsv2" => (!any(entry, &["webhook_url", "webhook_url_file"]))
                .then(|| format!("no {kind} webhook URL: one of webhook_url or webhook_url_file must be configured")),
            "mattermost" => self.mattermost(entry),
            "webex" => webex(entry),
            "jira" => self.jira(entry),
            "rocketchat" => self.rocketchat(entry),
            _ => None,
        };
        if let Some(why) = why {
            self.refuse(entry.place, path, format!("{why} (receiver {receiver:?})"));
        }
        self.nested(kind, entry, path);
    }

    fn slack(&self, entry: &Node) -> Option<String> {
        let (url, token) = (["api_url", "api_url_file"], ["app_token", "app_token_file"]);
        if any(entry, &url) && any(entry, &token) {
            return Some("at most one of api_url/api_url_file & app_token/app_token_file must be configured".into());
        }
        if is_true(entry, "update_message") && text(entry, "api_url") != Some("https://slack.com/api/chat.postMessage")
        {
            return Some(
                "update_message can only be used with bot tokens and api_url https://slack.com/api/chat.postMessage"
                    .into(),
            );
        }
        let globally = ["slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file"];
        let set = any(entry, &url) || any(entry, &token) || globally.iter().any(|key| self.set_globally(key));
        (!set).then(|| {
            "no Slack API URL: neither api_url (api_url_file) here nor slack_api_url (slack_api_url_file) in global"
                .into()
        })
    }

    fn email(&mut self, entry: &Node) -> Option<String> {
        if !has(entry, "to") {
            return Some("missing to address in email config".into());
        }
        let mut headers = BTreeSet::new();
        for (key, _) in entry.get("headers").and_then(Node::entries).unwrap_or_default() {
            let name = key.as_str().unwrap_or_default().to_ascii_lowercase();
            if !headers.insert(name.clone()) {
                return Some(format!("duplicate header {name:?} in email config"));
            }
        }
        if let Some(threading) = entry.get("threading").filter(|t| is_true(t, "enabled")) {
            if !matches!(text(threading, "thread_by_date"), Some("none" | "daily")) {
                return Some("threading.thread_by_date must be either 'none' or 'daily'".into());
            }
            if headers.contains("references") || headers.contains("in-reply-to") {
                return Some("threading.enabled conflicts with own References and In-Reply-To headers".into());
            }
        }
        for (own, global, what) in [("smarthost", "smtp_smarthost", "smarthost"), ("from", "smtp_from", "from")] {
            if !has(entry, own) && !self.set_globally(global) {
                return Some(format!("no SMTP {what}: neither {own} here nor {global} in global"));
            }
        }
        None
    }

    fn opsgenie(&self, entry: &Node) -> Option<String> {
        for responder in list(entry, "responders") {
            if !any(responder, &["id", "name", "username"]) {
                return Some("a responder has to have at least one of id, username or name".into());
            }
            let kind = text(responder, "type").unwrap_or_default();
            let known = ["team", "teams", "user", "escalation", "schedule"];
            if !kind.contains("{{") && !known.contains(&kind.to_lowercase().as_str()) {
                return Some(format!("responder type {kind:?} is not one of {}", known.join(", ")));
            }
        }
        let globally = ["opsgenie_api_key", "opsgenie_api_key_file"].iter().any(|key| self.set_globally(key));
        (!any(entry, &["api_key", "api_key_file"]) && !globally)
            .then(|| "no OpsGenie API key: neither api_key (api_key_file) here nor opsgenie_api_key in global".into())
    }

    fn wechat(&self, entry: &Node) -> Option<String> {
        let kind = text(entry, "message_type").unwrap_or("text");
        if !matches!(kind, "text" | "markdown") {
            return Some(format!("WeChat message type {kind:?} is neither text nor markdown"));
        }
        let globally = ["wechat_api_secret", "wechat_api_secret_file"].iter().any(|key| self.set_globally(key));
        if !any(entry, &["api_secret", "api_secret_file"]) && !globally {
            return Some("no WeChat API secret: neither api_secret here nor wechat_api_secret in global".into());
        }
        (!has(entry, "corp_id") && !self.set_globally("wechat_api_corp_id"))
            .then(|| "no WeChat corp id: neither corp_id here nor wechat_api_corp_id in global".into())
    }

    fn victorops(&self, entry: &Node) -> Option<String> {
        if !has(entry, "routing_key") {
            return Some("missing routing key in VictorOps config".into());
        }
        let fixed = [
            "routing_key",
            "message_type",
            "state_message",
            "entity_display_name",
            "monitoring_tool",
            "entity_id",
            "entity_state",
        ];
        let own = entry.get("custom_fields").and_then(Node::entries).unwrap_or_default();
        if let Some(name) = own.iter().filter_map(|(key, _)| key.as_str()).find(|name| fixed.contains(name)) {
            return Some(format!("custom field {name} conflicts with the field of this name"));
        }
        let globally = ["victorops_api_key", "victorops_api_key_file"].iter().any(|key| self.set_globally(key));
        (!any(entry, &["api_key", "api_key_file"]) && !globally)
            .then(|| "no VictorOps API key: neither api_key here nor victorops_api_key in global".into())
    }

    fn telegram(&self, entry: &Node) -> Option<String> {
        let globally = ["telegram_bot_token", "telegram_bot_token_file"].iter().any(|key| self.set_globally(key));
        if !any(entry, &["bot_token", "bot_token_file"]) && !globally {
            return Some("missing bot_token or bot_token_file on telegram_config".into());
        }
        if text(entry, "chat_id").is_none_or(|id| id == "0") && !has(entry, "chat_id_file") {
            return Some("missing chat_id or chat_id_file on telegram_config".into());
        }
        let mode = entry.get("parse_mode").and_then(Node::as_str).unwrap_or_default();
        (!matches!(mode, "" | "Markdown" | "MarkdownV2" | "HTML"))
            .then(|| format!("unknown parse_mode {mode:?} on telegram_config: Markdown, MarkdownV2, HTML or nothing"))
    }

    fn mattermost(&self, entry: &Node) -> Option<String> {
        let globally =
            ["mattermost_webhook_url", "mattermost_webhook_url_file"].iter().any(|key| self.set_globally(key));
        (!any(entry, &["webhook_url", "webhook_url_file"]) && !globally)
            .then(|| "missing webhook_url or webhook_url_file on mattermost_config".into())
    }

    fn jira(&self, entry: &Node) -> Option<String> {
        if let Some(key) = ["project", "issue_type"].into_iter().find(|key| !has(entry, key)) {
            return Some(format!("missing {key} in jira_config"));
        }
        let kind = text(entry, "api_type").unwrap_or("auto");
        if !matches!(kind, "auto" | "cloud" | "datacenter") {
            return Some(format!("unknown api_type {kind:?} on jira_config: auto, cloud or datacenter"));
        }
        (!has(entry, "api_url") && !self.set_globally("jira_api_url"))
            .then(|| "no Jira URL: neither api_url here nor jira_api_url in global".into())
    }

    fn rocketchat(&self, entry: &Node) -> Option<String> {
        for (own, what) in [("token_id", "TokenID"), ("token", "Token")] {
            let file = format!("{own}_file");
            let globally = [format!("rocketchat_{own}"), format!("rocketchat_{file}")];
            if !any(entry, &[own, &file]) && !globally.iter().any(|key| self.set_globally(key)) {
                return Some(format!("no Rocketchat {what} set, neither here nor in global"));
            }
        }
        None
    }

    /// What the entries inside an integration need.
    fn nested(&mut self, kind: &str, entry: &Node, path: &str) {
        if matches!(kind, "slack" | "mattermost") {
            for field in list(entry, "fields").iter().filter(|f| !f.is_null()) {
                if let Some(key) = ["title", "value"].into_iter().find(|key| !has(field, key)) {
                    self.refuse(field.place, path, format!("missing {key} in a field of {kind}_configs"));
                }
            }
        }
        if kind != "slack" {
            return;
        }
        for action in list(entry, "actions").iter().filter(|a| !a.is_null()) {
            if let Some(key) = ["type", "text"].into_iter().find(|key| !has(action, key)) {
                self.refuse(action.place, path, format!("missing {key} in Slack action configuration"));
            } else if !any(action, &["url", "name"]) {
                self.refuse(action.place, path, "missing name or url in Slack action configuration");
            }
            if action.get("confirm").is_some_and(|c| !c.is_null() && !has(c, "text")) {
                self.refuse(action.place, path, "missing text in Slack confirmation configuration");
            }
        }
    }

    /// `http_config` and `tls_config` of a receiver or of `global`.
    fn http(&mut self, parent: &Node, path: &str) {
        self.tls(parent.get("tls_config"), &format!("{path}.tls_config"));
        let Some(http) = parent.get("http_config").filter(|h| !h.is_null()) else { return };
        let path = format!("{path}.http_config");
        self.tls(http.get("tls_config"), &format!("{path}.tls_config"));
        let bearer = any(http, &["bearer_token", "bearer_token_file"]);
        let (basic, oauth, auth) =
            (is_given(http, "basic_auth"), is_given(http, "oauth2"), is_given(http, "authorization"));
        self.one_source(http, &path, &[]);
        for key in ["basic_auth", "authorization", "oauth2"] {
            if let Some(inner) = http.get(key) {
                self.one_source(inner, &format!("{path}.{key}"), &[]);
            }
        }
        let scheme =
            http.at(&["authorization", "type"]).and_then(Node::as_str).unwrap_or_default().trim().to_lowercase();
        let why = if [bearer, basic, oauth, auth].into_iter().filter(|given| *given).count() > 1 {
            "at most one of basic_auth, oauth2, authorization, bearer_token & bearer_token_file must be configured"
        } else if scheme == "basic" {
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead"
        } else if oauth && !http.get("oauth2").is_some_and(|o| has(o, "client_id")) {
            "oauth2 client_id must be configured"
        } else if oauth && !http.get("oauth2").is_some_and(|o| has(o, "token_url")) {
            "oauth2 token_url must be configured"
        } else if is_true(http, "proxy_from_environment") && any(http, &["proxy_url", "no_proxy"]) {
            "if proxy_from_environment is configured, proxy_url and no_proxy must not be configured"
        } else if has(http, "no_proxy") && !is_given(http, "proxy_url") {
            "if no_proxy is configured, proxy_url must also be configured"
        } else {
            return;
        };
        self.refuse(http.place, &path, why);
    }

    fn tls(&mut self, node: Option<&Node>, path: &str) {
        let Some(tls) = node.filter(|n| !n.is_null()) else { return };
        self.one_source(tls, path, &[]);
        let (cert, key) = (any(tls, &["cert", "cert_file", "cert_ref"]), any(tls, &["key", "key_file", "key_ref"]));
        // Before 0.26 the files were not compared when the file was read.
        if cert != key && !self.is_older(26) {
            self.refuse(tls.place, path, "a client certificate needs its key, and a key its certificate");
        }
    }

    fn routes(&mut self) {
        let root = self.root;
        let Some(route) = root.get("route").filter(|r| !r.is_null()) else {
            return self.refuse(root.place, "route", "no route provided: the file needs a root route with a receiver");
        };
        if !has(route, "receiver") {
            self.refuse(route.place, "route", "root route must specify a default receiver");
        }
        let given = |key: &str| {
            route
                .get(key)
                .is_some_and(|n| n.items().is_some_and(|i| !i.is_empty()) || n.entries().is_some_and(|e| !e.is_empty()))
        };
        if given("match") || given("match_re") || given("matchers") {
            self.refuse(route.place, "route", "root route must not have any matchers: it takes every alert");
        }
        for (key, what) in [("mute_time_intervals", "mute"), ("active_time_intervals", "active")] {
            if given(key) {
                self.refuse(route.place, "route", format!("root route must not have any {what} time intervals"));
            }
        }
        if is_true(route, "continue") {
            self.refuse(route.place, "route", "cannot have continue in root route");
        }
        let receivers: BTreeSet<&str> = list(root, "receivers").iter().filter_map(|r| text(r, "name")).collect();
        let intervals = ["time_intervals", "mute_time_intervals"];
        let intervals = intervals.into_iter().flat_map(|key| list(root, key)).filter_map(|i| text(i, "name")).collect();
        self.route(route, "route", &receivers, &intervals);
    }

    fn route(&mut self, route: &Node, path: &str, receivers: &BTreeSet<&str>, intervals: &BTreeSet<&str>) {
        if let Some(node) = route.get("receiver")
            && let Some(name) = node.as_str().filter(|n| !n.is_empty() && !receivers.contains(n))
        {
            let message = format!("undefined receiver {name:?} used in route");
            self.refuse_near(node, &format!("{path}.receiver"), message, name, receivers);
        }
        for key in ["mute_time_intervals", "active_time_intervals"] {
            for node in list(route, key) {
                let Some(name) = node.as_str().filter(|n| !intervals.contains(n)) else { continue };
                let message = format!("undefined time interval {name:?} used in route");
                self.refuse_near(node, &format!("{path}.{key}"), message, name, intervals);
            }
        }
        self.group_by(route, path);
        for key in ["group_interval", "repeat_interval"] {
            if let Some(node) = route.get(key)
                && node.as_str().and_then(|t| duration(t).ok()) == Some(0)
            {
                self.refuse(node.place, &format!("{path}.{key}"), format!("{key} cannot be zero"));
            }
        }
        for (at, child) in list(route, "routes").iter().enumerate().filter(|(_, child)| !child.is_null()) {
            self.route(child, &format!("{path}.routes[{at}]"), receivers, intervals);
        }
    }

    fn group_by(&mut self, route: &Node, path: &str) {
        let mut seen = BTreeSet::new();
        let mut all = false;
        for node in list(route, "group_by") {
            let name = node.as_str().unwrap_or_default();
            let at = format!("{path}.group_by");
            if name == "..." {
                all = true;
            } else if name.is_empty() || self.is_older(27) && !is_legacy_label(name) {
                self.refuse(node.place, &at, format!("invalid label name {name:?} in group_by list"));
            } else if !seen.insert(name) {
                self.refuse(node.place, &at, format!("duplicated label {name:?} in group_by"));
            }
        }
        if all && !seen.is_empty() {
            let why = "cannot have wildcard group_by (`...`) and other labels at the same time";
            self.refuse(route.place, path, why);
        }
    }

    fn intervals(&mut self) {
        let root = self.root;
        let mut names = BTreeSet::new();
        for (key, node) in ["mute_time_intervals", "time_intervals"]
            .into_iter()
            .flat_map(|k| list(root, k).iter().map(move |n| (k, n)))
        {
            match text(node, "name") {
                None => self.refuse(node.place, key, "missing name in time interval"),
                Some(name) if !names.insert(name) => {
                    self.refuse(node.place, key, format!("time interval {name:?} is not unique"));
                }
                Some(_) => {}
            }
            for times in list(node, "time_intervals").iter().flat_map(|i| list(i, "times")) {
                if let Err(why) = interval::time_range(times) {
                    self.refuse(times.place, key, why);
                }
            }
        }
    }

    fn inhibitions(&mut self) {
        let root = self.root;
        for (at, rule) in list(root, "inhibit_rules").iter().enumerate() {
            for node in list(rule, "equal") {
                let name = node.as_str().unwrap_or_default();
                if name.is_empty() || self.is_older(27) && !is_legacy_label(name) {
                    let why = format!("invalid label name {name:?} in equal list");
                    self.refuse(node.place, &format!("inhibit_rules[{at}].equal"), why);
                }
            }
        }
    }
}

fn incidentio(entry: &Node) -> Option<String> {
    if !any(entry, &["url", "url_file"]) {
        return Some("one of url or url_file must be configured".into());
    }
    let token = any(entry, &["alert_source_token", "alert_source_token_file"]);
    let http = entry.get("http_config").filter(|h| !h.is_null());
    let authorization = http.is_some_and(|h| is_given(h, "authorization"));
    if authorization && token {
        return Some("cannot specify alert_source_token when using http_config.authorization".into());
    }
    (http.is_some() && !authorization && !token)
        .then(|| "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured".into())
}

fn pushover(entry: &Node) -> Option<String> {
    if !any(entry, &["user_key", "user_key_file"]) {
        return Some("missing user key in Pushover config: one of user_key or user_key_file must be configured".into());
    }
    if !any(entry, &["token", "token_file"]) {
        return Some("missing token in Pushover config: one of token or token_file must be configured".into());
    }
    (is_true(entry, "html") && is_true(entry, "monospace"))
        .then(|| "at most one of monospace & html must be configured".into())
}

fn sns(entry: &Node) -> Option<String> {
    if entry.get("sigv4").is_some_and(|s| has(s, "access_key") != has(s, "secret_key")) {
        return Some("must provide both an AWS SigV4 access_key and secret_key".into());
    }
    let given = ["target_arn", "topic_arn", "phone_number"].iter().filter(|key| has(entry, key)).count();
    // Alertmanager compares pairwise: it takes one, and all three.
    (given % 2 == 0).then(|| "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config".into())
}

fn webex(entry: &Node) -> Option<String> {
    if !has(entry, "room_id") {
        return Some("missing room_id on webex_config".into());
    }
    let given = |h: &Node| is_given(h, "authorization") || any(h, &["bearer_token", "bearer_token_file"]);
    (!entry.get("http_config").is_some_and(given)).then(|| "missing webex_configs.http_config.authorization".into())
}
