//! Configurations of Prometheus, its rules and Alertmanager wherever the files hold them: as a whole file, a key of a
//! ConfigMap, the spec of a custom resource, or a part of Helm values.

use std::borrow::Cow;

use super::copy;
pub(crate) use super::dialect::Dialect;
use super::dialect::{dialect_of_text, named, of_whole_file};
use super::given::labels_with;
use super::included::Included;
use super::values::{self, Values};
use crate::lint::within::{self, Start};
use crate::lint::yaml::{self, Node, Value};
use crate::lint::{Place, Problem, Version, alertmanager, dashboard, prometheus, rules, web};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{BLANK, Holds, Manifest, ManifestFile};

/// Versions of the programs that the files install, where they tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Readers {
    /// Of Prometheus.
    pub(crate) prometheus: Option<Version>,
    /// Of Alertmanager.
    pub(crate) alertmanager: Option<alertmanager::Version>,
    /// Prometheus runs in agent mode.
    pub(crate) agent: bool,
    /// What of PromQL is switched on, where the arguments are known.
    pub(crate) features: Option<rules::Features>,
}

/// One configuration.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    /// The file that holds it.
    pub(crate) file: &'a ManifestFile,
    /// The object of the file that holds it.
    pub(crate) object: Option<&'a Manifest>,
    /// Path at which it stands: `data.prometheus.yml`; empty for a whole file.
    pub(crate) field: String,
    /// What reads it.
    pub(crate) dialect: Dialect,
    body: Body<'a>,
    /// The settings of the configuration that includes it.
    global: Option<&'a Node>,
    /// Jobs that it includes and has already.
    doubled: Vec<Problem>,
}

impl<'a> Written<'a> {
    fn new(
        file: &'a ManifestFile,
        object: Option<&'a Manifest>,
        field: impl Into<String>,
        dialect: Dialect,
        body: Body<'a>,
    ) -> Self {
        Self { file, object, field: field.into(), dialect, body, global: None, doubled: Vec::new() }
    }
}

#[derive(Debug)]
enum Body<'a> {
    /// A text of its own with its place in the file.
    Text { text: &'a str, place: Place },
    /// A part of the file's document; of a custom resource where rules may have fields of Thanos.
    Part(Cow<'a, Node>),
    /// A configuration whose secrets were taken out.
    Secret(&'a Node),
}

/// All configurations of a dialect, in the order of the files.
pub(crate) fn all(snap: &Snapshot, dialect: Dialect) -> Vec<Written<'_>> {
    let mut found = Vec::new();
    let files = snap.manifests.items().unwrap_or_default();
    for file in files {
        of_file(file, &mut found);
    }
    found.retain(|w| w.dialect == dialect);
    if dialect == Dialect::Prometheus {
        let included = Included::of(files);
        for written in found.iter_mut().filter(|w| w.field.is_empty()) {
            written.global = included.global_of(written.file);
            written.doubled = included.doubled(written.file);
        }
    }
    found
}

fn of_file<'a>(file: &'a ManifestFile, found: &mut Vec<Written<'a>>) {
    if let [root] = file.values.as_slice()
        && file.objects.is_empty()
        && let Some(dialect) = of_whole_file(&file.path, root)
    {
        let text = file.original.judged().unwrap_or(&file.text);
        let body = Body::Text { text, place: Place { line: 1, column: 1 } };
        found.push(Written::new(file, None, "", dialect, body));
        return;
    }
    for object in &file.objects {
        match (object.group(), object.kind.as_str()) {
            ("", "ConfigMap") => of_config_map(file, object, found),
            ("grafana.integreatly.org", "GrafanaDashboard") => {
                if let Some((text, place)) =
                    object.node.at(&["spec", "json"]).and_then(|n| Some((n.as_str()?, n.place)))
                {
                    let body = Body::Text { text, place };
                    found.push(Written::new(file, Some(object), "spec.json", Dialect::Dashboard, body));
                }
            }
            ("monitoring.coreos.com", "PrometheusRule") => {
                let Some(spec) = object.node.get("spec") else { continue };
                let body = Body::Part(Cow::Borrowed(spec));
                let field = "spec".to_owned();
                found.push(Written::new(file, Some(object), field, Dialect::Rules, body));
            }
            _ => {}
        }
    }
    for inside in &file.inside {
        let dialect = match inside.holds {
            Holds::Alertmanager => Dialect::Alertmanager,
            Holds::Web => Dialect::Web,
            Holds::Values => continue,
        };
        let (object, field) = (file.objects.get(inside.object), inside.path.clone());
        found.push(Written::new(file, object, field, dialect, Body::Secret(&inside.node)));
    }
    for Values { object, node, path, .. } in values::all(file) {
        let mut walk = Walk { file, object, found };
        walk.values(node, path, 0);
    }
}

fn of_config_map<'a>(file: &'a ManifestFile, object: &'a Manifest, found: &mut Vec<Written<'a>>) {
    let of_dashboards = labels_with(object, "dashboard").next().is_some();
    for (key, value) in object.node.get("data").and_then(Node::entries).unwrap_or_default() {
        let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
        if let Some(dialect) = dialect_of_text(key, text, of_dashboards) {
            let body = Body::Text { text, place: value.place };
            found.push(Written::new(file, Some(object), format!("data.{key}"), dialect, body));
        }
    }
}

/// Depth at which a chart's values may stand below those of a chart that contains it.
const DEPTH: usize = 3;

struct Walk<'a, 'f> {
    file: &'a ManifestFile,
    object: Option<&'a Manifest>,
    found: &'f mut Vec<Written<'a>>,
}

impl<'a> Walk<'a, '_> {
    /// Looks for the keys under which charts take configurations.
    fn values(&mut self, node: &'a Node, path: &str, depth: usize) {
        for (key, value) in node.entries().unwrap_or_default() {
            let Some(key) = key.as_str() else { continue };
            let path = yaml::join(path, key);
            match key {
                "additionalPrometheusRulesMap" => {
                    for (name, rules) in value.entries().unwrap_or_default() {
                        let name = name.as_str().unwrap_or_default();
                        self.rules(rules, format!("{path}.{name}"));
                    }
                }
                "additionalPrometheusRules" => {
                    for (at, rules) in value.items().unwrap_or_default().iter().enumerate() {
                        self.rules(rules, format!("{path}[{at}]"));
                    }
                }
                "additionalScrapeConfigs" | "extraScrapeConfigs" => self.jobs(value, path),
                "serverFiles" => {
                    for (name, content) in value.entries().unwrap_or_default() {
                        let name = name.as_str().unwrap_or_default();
                        let Some(dialect) = named(name, content) else { continue };
                        let field = format!("{path}.{name}");
                        self.part(Cow::Borrowed(content), field, dialect);
                    }
                }
                "config" if path.ends_with("alertmanager.config") => self.alertmanager(value, path),
                "dashboards" if path == key || path.ends_with("grafana.dashboards") => self.dashboards(value, &path),
                _ if depth < DEPTH => self.values(value, &path, depth + 1),
                _ => {}
            }
        }
    }

    /// Rules as kube-prometheus-stack takes them: the spec of a PrometheusRule with a name and labels beside it.
    fn rules(&mut self, node: &'a Node, field: String) {
        let Some(groups) = node.entries().and_then(|e| e.iter().find(|(k, _)| k.as_str() == Some("groups"))) else {
            return;
        };
        let spec = Node { place: node.place, value: Value::Mapping(vec![groups.clone()]) };
        self.part(Cow::Owned(spec), field, Dialect::Rules);
    }

    /// Jobs as a list or as a text that holds one.
    fn jobs(&mut self, node: &'a Node, field: String) {
        let Value::Sequence(_) = &node.value else { return };
        let key = Node { place: node.place, value: Value::Scalar { text: "scrape_configs".into(), plain: true } };
        let config = Node { place: node.place, value: Value::Mapping(vec![(key, node.clone())]) };
        self.part(Cow::Owned(config), field, Dialect::Prometheus);
    }

    /// The chart lays values over its own: only what stands here as a whole can be judged as a whole.
    fn alertmanager(&mut self, node: &'a Node, field: String) {
        let whole = node.get("route").is_some_and(|r| r.get("receiver").is_some())
            && node.get("receivers").is_some_and(|r| r.items().is_some());
        if whole {
            self.part(Cow::Borrowed(node), field, Dialect::Alertmanager);
        }
    }

    /// By provider and name, each as a text below `json`.
    fn dashboards(&mut self, node: &'a Node, path: &str) {
        for (provider, all) in node.entries().unwrap_or_default() {
            for (name, one) in all.entries().unwrap_or_default() {
                let Some((text, place)) = one.get("json").and_then(|n| Some((n.as_str()?, n.place))) else { continue };
                let [provider, name] = [provider, name].map(|n| n.as_str().unwrap_or_default());
                let field = format!("{path}.{provider}.{name}.json");
                let body = Body::Text { text, place };
                self.found.push(Written::new(self.file, self.object, field, Dialect::Dashboard, body));
            }
        }
    }

    fn part(&mut self, node: Cow<'a, Node>, field: String, dialect: Dialect) {
        let body = Body::Part(node);
        self.found.push(Written::new(self.file, self.object, field, dialect, body));
    }
}

impl Written<'_> {
    /// What its program refuses, with places in the file, in their order.
    pub(crate) fn problems(&self, readers: Readers) -> Vec<Problem> {
        let of_prometheus = prometheus::Options { version: readers.prometheus, agent: readers.agent };
        let of_rules = |resource| rules::Options { version: readers.prometheus, resource, features: readers.features };
        let mut problems = match (&self.body, self.dialect) {
            (Body::Text { text, .. }, Dialect::Prometheus) => self.of_text(text, of_prometheus),
            (Body::Text { text, .. }, Dialect::Rules) if rules::is_logql(text) => Vec::new(),
            // A field that only Thanos' ruler has: the file is for that.
            (Body::Text { text, .. }, Dialect::Rules) if text.contains("partial_response_strategy:") => {
                rules::lint(text, rules::Options { version: None, ..of_rules(true) })
            }
            (Body::Text { text, .. }, Dialect::Rules) => rules::lint(text, of_rules(false)),
            (Body::Text { text, .. }, Dialect::Alertmanager) => {
                refused(alertmanager::check(text, readers.alertmanager))
            }
            (Body::Part(node), Dialect::Prometheus) => prometheus::lint_node(node, of_prometheus),
            (Body::Part(node), Dialect::Rules) if is_logql(node) => Vec::new(),
            (Body::Part(node), Dialect::Rules) => {
                rules::lint_node(node.clone().into_owned(), &self.file.text, of_rules(true))
            }
            (Body::Text { text, .. }, Dialect::Web) => web::lint(text),
            (Body::Text { text, .. }, Dialect::Dashboard) => dashboard::lint(text, self.is_provisioned(text)),
            (Body::Part(node), Dialect::Web) => web::lint_node(node),
            // They are texts.
            (Body::Part(_), Dialect::Dashboard) => Vec::new(),
            (Body::Secret(node), dialect) => {
                let mut found = match dialect {
                    Dialect::Web => web::lint_node(node),
                    _ => refused(alertmanager::check_node(node, readers.alertmanager)),
                };
                // What was taken out is not wrong.
                found.retain(|p| !p.message.contains(BLANK));
                return found;
            }
            (Body::Part(node), Dialect::Alertmanager) => refused(alertmanager::check_node(node, readers.alertmanager)),
        };
        if let Body::Text { text, place } = self.body
            && !self.field.is_empty()
        {
            // As the file shows it.
            let text = &*web::without_users(text, |_| BLANK.to_owned());
            let start = Start::of(&self.file.text, text, place);
            for problem in &mut problems {
                problem.place = start.place(&self.file.text, text, problem.place);
                problem.at = problem.at.take().map(|at| Box::new(start.place(&self.file.text, text, *at)));
            }
        }
        problems.retain(|p| !self.is_unknown(p.place));
        problems
    }

    /// What it holds as a document, with places in the file; `None` where it is no YAML, or of Loki.
    pub(crate) fn document(&self) -> Option<Node> {
        let node = match &self.body {
            Body::Text { text, .. } if self.object.is_none() => yaml::document(text).ok()??,
            Body::Text { text, place } => within::documents(&self.file.text, text, *place).ok()?.into_iter().next()?,
            Body::Part(node) => node.clone().into_owned(),
            Body::Secret(_) => return None,
        };
        (!is_logql(&node)).then_some(node)
    }

    /// The same of a file of Prometheus: with the settings of the one that includes it, and with what it includes.
    fn of_text(&self, text: &str, options: prometheus::Options) -> Vec<Problem> {
        let mut problems = match (self.global, yaml::document(text)) {
            (Some(global), Ok(Some(mut root))) if root.get("global").is_none() => {
                if let Value::Mapping(entries) = &mut root.value {
                    let key = Value::Scalar { text: "global".into(), plain: true };
                    entries.push((Node { place: root.place, value: key }, global.clone()));
                }
                let mut found = prometheus::lint_node(&root, options);
                // They are wrong where they stand.
                found.retain(|p| !p.path.starts_with("global"));
                found
            }
            _ => prometheus::lint(text, options),
        };
        problems.extend(self.doubled.iter().cloned());
        problems.sort_by_key(|p| p.place);
        problems
    }

    /// What its program would refuse of a copy of the file of which a line was changed; `None` where that cannot be told.
    pub(crate) fn again(&self, text: &str, at: Place, readers: Readers) -> Option<Vec<Problem>> {
        if matches!(self.body, Body::Secret(_)) {
            return None;
        }
        let mut copy = copy::reread(self.file, text, at)?;
        copy.original = copy::original(self.file, text);
        let mut found = Vec::new();
        of_file(&copy, &mut found);
        let place = |object: Option<&Manifest>| object.map(Manifest::place);
        let same = |w: &&Written<'_>| {
            w.dialect == self.dialect && w.field == self.field && place(w.object) == place(self.object)
        };
        found.iter().find(same).map(|w| w.problems(readers))
    }

    /// Grafana reads it as a file. What is a file here may be meant for its API, as is a request in a ConfigMap that no
    /// side-car looks for.
    fn is_provisioned(&self, text: &str) -> bool {
        let labelled = |object| labels_with(object, "dashboard").next().is_some();
        match self.object {
            None => !self.field.is_empty(),
            Some(object) if object.kind == "ConfigMap" => labelled(object) || !dashboard::is_request(text),
            Some(object) => object.kind != "GrafanaDashboard",
        }
    }

    /// A secret that was blanked out, or a value that something fills in before the program reads it.
    fn is_unknown(&self, place: Place) -> bool {
        let line = self.file.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        let filled_in = !matches!(self.dialect, Dialect::Rules | Dialect::Dashboard)
            && (line.contains("${") || line.contains("{{"));
        let own_templates = self.dialect == Dialect::Alertmanager && line.contains("{{");
        // Of users the file shows nothing, and they are judged all the same.
        let kept = self.dialect == Dialect::Web || self.file.original.judged().is_some();
        let hidden = line.contains(BLANK) && !kept;
        hidden || line.contains("$(") || (filled_in && !own_templates)
    }
}

fn refused(verdict: alertmanager::Verdict) -> Vec<Problem> {
    let mut all = verdict.refused;
    all.extend(verdict.at_send);
    all
}

/// Rules of Loki in a custom resource.
fn is_logql(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, .. } => rules::is_logql(text),
        Value::Sequence(items) => items.iter().any(is_logql),
        Value::Mapping(entries) => entries.iter().any(|(_, v)| is_logql(v)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;

    fn file(text: &str) -> ManifestFile {
        let mut file = ManifestFile::new("x.yaml", text);
        for document in yaml::documents(text).expect("is YAML") {
            match Manifest::of(document.clone()) {
                Some(object) => file.objects.push(object),
                None => file.values.push(document),
            }
        }
        file
    }

    fn problems(text: &str) -> Vec<String> {
        let mut snap = Snapshot::empty(jiff::Timestamp::default());
        snap.manifests = Listing::cluster(vec![file(text)]);
        let dialects = [Dialect::Prometheus, Dialect::Rules, Dialect::Alertmanager];
        let all = dialects.into_iter().flat_map(|d| all(&snap, d)).collect::<Vec<_>>();
        let say = |w: &Written<'_>| {
            let found = w.problems(Readers::default());
            found.into_iter().map(|p| format!("{:?} {} {}: {}", w.dialect, w.field, p.place, p.message)).collect()
        };
        all.iter().flat_map(|w| -> Vec<String> { say(w) }).collect()
    }

    #[test]
    fn what_is_no_configuration_of_the_stack_is_left_alone() {
        for text in [
            "global:\n  imageRegistry: x\nprometheus:\n  prometheusSpec: {retention: 5d}\nalertmanager: {enabled: false}\n",
            "clients: [{url: http://loki/push}]\nscrape_configs:\n- job_name: a\n  pipeline_stages: []\n",
            "scrape_configs:\n- job_name: a\n  stream_parse: true\n",
            "rule_files: [a.yml]\nevaluation_interval: 1m\ntests: []\n",
            "receivers: {otlp: {}}\nexporters: {}\nservice: {}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  d.json: '{\"groups\": [{\"rules\": []}]}'\n  promtail.yaml: |\n    clients: []\n    scrape_configs: [{job_name: a, x: 1}]\n",
            "alertmanager:\n  config:\n    route: {group_by: [x]}\n",
            "scrape_configs:\n- job_name: a\n  scrape_interval: ${INTERVAL}\n",
        ] {
            assert_eq!(problems(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn each_holder_is_read_and_places_are_those_of_the_file() {
        let one = |text: &str, expected: &str| {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:#?}");
        };
        one("scrape_configs:\n- job_name: a\n  metric_path: /x\n", "Prometheus  3:3: unknown field");
        one("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: sum(x\n", "Rules  5:");
        one("route: {receiver: slakc}\nreceivers:\n- name: slack\n", "Alertmanager  1:");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  prometheus.yml: |\n    # head\n    scrape_configs:\n    - job_name: a\n      metric_path: /x\n";
        one(map, "Prometheus data.prometheus.yml 10:7: unknown field");
        let rule = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec:\n  groups:\n  - name: a\n    partial_response_strategy: warn\n    rules:\n    - alert: A\n      expr: rate(x)\n";
        one(rule, "Rules spec 10:");
        let values = "kube-prometheus-stack:\n  additionalPrometheusRulesMap:\n    mine:\n      groups:\n      - name: a\n        rules:\n        - alert: A\n          expr: rate(x)\n";
        one(values, "Rules kube-prometheus-stack.additionalPrometheusRulesMap.mine 8:");
        let jobs =
            "prometheus:\n  prometheusSpec:\n    additionalScrapeConfigs:\n    - job_name: a\n      metric_path: /x\n";
        one(jobs, "Prometheus prometheus.prometheusSpec.additionalScrapeConfigs 5:7: unknown field");
        let routes = "alertmanager:\n  config:\n    route: {receiver: a}\n    receivers: [{name: b}]\n";
        one(routes, "Alertmanager alertmanager.config 3:");
    }
}
