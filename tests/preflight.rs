//! `kdoctor preflight` as a person meets it: files, folders, standard input, and what is wrong with them.

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::kdoctor;

fn service(name: &str, port: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: obs\nspec:\n  type: NodePort\n  ports:\n  - port: 3000\n    nodePort: {port}\n"
    )
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("makable");
            std::fs::write(path, text).expect("writable");
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs in the folder, so that paths are as short as people write them.
    fn run(&self, args: &[&str]) -> Output {
        kdoctor().current_dir(self.0.path()).arg("preflight").args(args).output().expect("kdoctor runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ends(output: &Output, code: i32) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

#[test]
fn good_files_pass_and_the_header_says_what_was_read() {
    let folder = Folder::of(&[("a.yaml", &service("a", 30090)), ("sub/b.yml", &service("b", 30091))]);
    let (out, err) = ends(&folder.run(&["-f", ".", "--strict"]), 0);
    assert!(out.starts_with("✓ no problem found\n  2 files with 2 objects"), "{out}");
    assert!(!out.contains("could not be seen") && err.is_empty(), "{out}{err}");
}

#[test]
fn the_recorded_incident_is_judged_by_its_files_alone() {
    let manifests = fixture("incidents/nodeport-range/manifests");
    let output = kdoctor().args(["preflight", "-o", "json", "-f", &manifests]).output().expect("kdoctor runs");
    let (out, _) = ends(&output, 1);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let schema: Value = serde_json::from_str(include_str!("../docs/report.schema.json")).expect("the schema is JSON");
    assert!(jsonschema::validator_for(&schema).expect("a valid schema").is_valid(&report));
    assert_eq!(report["target"]["manifest_files"], 5);
    let faults = report["findings"].as_array().expect("findings").iter().filter(|f| f["severity"] != "info").count();
    assert_eq!(faults, 1);
    for expected in
        ["30090", "30093", "30030", "kubectl apply -f ", "prometheus.yaml", "provided port is not in the valid range"]
    {
        assert!(out.contains(expected), "{expected} is not in {out}");
    }
}

#[test]
fn a_stream_on_standard_input_is_judged_as_rendered() {
    let stream = format!("---\n# Source: x/templates/a.yaml\n{}---\n{}", service("a", 30090), service("b", 33000));
    let output = kdoctor().args(["preflight", "-f", "-"]).write_stdin(stream).output().expect("kdoctor runs");
    let (out, _) = ends(&output, 1);
    assert!(
        out.contains("Service obs/b (33000)") && out.contains("30030") && out.contains("kubectl apply -f"),
        "{out}"
    );
    let labelled =
        service("c", 33000).replace("  namespace: obs", "  namespace: obs\n  labels: {helm.sh/chart: grafana-9.2.1}");
    let output = kdoctor().args(["preflight", "-f", "-"]).write_stdin(labelled).output().expect("kdoctor runs");
    assert!(ends(&output, 1).0.contains("Helm chart grafana-9.2.1"));
    let empty = kdoctor().args(["preflight", "-f", "-"]).write_stdin("\n").output().expect("kdoctor runs");
    assert!(ends(&empty, 2).1.contains("standard input: is empty"));
}

#[test]
fn a_broken_file_is_named_and_the_others_are_judged() {
    let folder = Folder::of(&[
        ("a.yaml", &service("a", 33000)),
        ("b.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: b\nspec:\n  type: NodePort\n"),
        ("c.json", "{\"apiVersion\": \"v1\",\n \"kind\" \"Service\"}\n"),
    ]);
    let (out, err) = ends(&folder.run(&["-f", "."]), 2);
    assert!(out.contains("Service obs/a (33000)"), "{out}");
    assert!(err.contains("./b.yaml:") && err.contains("not valid YAML"), "{err}");
    assert!(err.contains("./c.json:2:") && err.contains("not valid JSON"), "{err}");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let folder = Folder::of(&[("notes.txt", "x"), ("empty/notes.txt", "x"), ("good.yaml", &service("a", 30090))]);
    let (out, err) = ends(&folder.run(&["-f", "missing.yaml"]), 2);
    assert!(err.contains("missing.yaml: cannot be read") && out.is_empty(), "{out}{err}");
    assert!(ends(&folder.run(&["-f", "empty"]), 2).1.contains("empty: holds no *.yaml"));
    assert!(ends(&folder.run(&["-f", "https://example.test/x.yaml"]), 2).1.contains("curl"));
    // One of two: the other is judged, and nothing is lost.
    let (out, err) = ends(&folder.run(&["-f", "missing.yaml", "-f", "good.yaml"]), 2);
    assert!(out.contains("1 file with 1 object") && err.contains("missing.yaml"), "{out}{err}");
    ends(&folder.run(&[]), 2);
    let (_, err) = ends(&folder.run(&["-f", "good.yaml", "--only", "pvc-pending"]), 2);
    assert!(err.contains("can judge manifests"), "{err}");
}

#[test]
fn a_folder_with_many_things_in_it_is_taken_apart() {
    let folder = Folder::of(&[
        (
            "k8s/list.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: inlist, namespace: obs}\n  spec: {type: NodePort, ports: [{port: 9090, nodePort: 39090}]}\n",
        ),
        ("k8s/.hidden.yaml", "broken: ["),
        ("k8s/kustomization.yaml", "resources: [list.yaml]\n"),
        ("k8s/rules.yaml", "groups:\n- name: x\n  rules: [{alert: A, annotations: {summary: '{{ $labels.job }}'}}]\n"),
        ("README.md", "no: ["),
        ("chart/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n"),
        ("chart/templates/service.yaml", "{{- if .Values.x }}\nkind: Service\n{{- end }}\n"),
        (
            "chart/values.yaml",
            "adminPassword: hunter2\ngrafana:\n  service:\n    type: NodePort\n    nodePort: 33000\n",
        ),
    ]);
    let (out, err) = ends(&folder.run(&["-f", ".", "--verbose"]), 1);
    assert!(err.is_empty(), "{err}");
    assert!(out.contains("Service obs/inlist (39090)") && out.contains("kubectl apply -k ./k8s"), "{out}");
    assert!(out.contains("grafana.service.nodePort") && out.contains("helm upgrade"), "{out}");
    assert!(out.contains("helm template ./chart | kdoctor preflight -f -"), "{out}");
    assert!(!out.contains("hunter2"));
}

#[test]
fn a_template_alone_is_not_evaluated() {
    let folder = Folder::of(&[("t/service.yaml", "kind: Service\nmetadata:\n  name: {{ include \"x.name\" . }}\n")]);
    // Nothing could be judged: that is no pass.
    let (out, err) = ends(&folder.run(&["-f", "t/service.yaml"]), 2);
    assert!(out.is_empty() && err.contains("helm template"), "{out}{err}");
    ends(&folder.run(&["-f", "t/service.yaml", "--strict"]), 2);
}

#[test]
fn a_bundle_adds_the_conflicts_with_its_cluster() {
    let bundle = fixture("cases/nodeport-already-allocated");
    let folder = Folder::of(&[("mine.yaml", &service("mine", 30902))]);
    let (out, _) = ends(&folder.run(&["-f", "mine.yaml", "--from", &bundle]), 1);
    assert!(out.contains("which Service") && out.contains("30902"), "{out}");
    ends(&folder.run(&["-f", "mine.yaml"]), 0);
    let output =
        kdoctor().current_dir(folder.0.path()).args(["monitoring", "-f", "mine.yaml", "--from", &bundle]).output();
    assert!(ends(&output.expect("kdoctor runs"), 1).0.contains("node-port-range"));
    // Without -f, the bundle's own manifests; a bundle without any has nothing to judge.
    ends(&folder.run(&["--from", &bundle]), 1);
    assert!(ends(&folder.run(&["--from", &fixture("healthy/plain")]), 2).1.contains("give them with -f"));
}

const RULE: &str = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r, namespace: obs}\nspec:\n  groups:\n  - name: g\n    rules:\n    - alert: A\n      expr: sum(rate(x[5m]) > 1\n";

#[test]
fn what_is_wrong_in_the_cluster_anyway_counts_where_it_is_asked_for() {
    let folder = Folder::of(&[("good.yaml", &service("a", 30090))]);
    let cluster = fixture("cases/storage-class-missing-by-event");
    let against = ["-f", "good.yaml", "--from", cluster.as_str()];
    let (out, _) = ends(&folder.run(&against), 0);
    assert!(!out.contains("storage-class-missing"), "{out}");
    let (out, _) = ends(&folder.run(&[&against[..], &["--include-cluster"]].concat()), 1);
    assert!(out.contains("error[storage-class-missing]"), "{out}");
}

#[test]
fn configurations_are_judged_wherever_they_are_written() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p, namespace: obs}\ndata:\n  prometheus.yml: |\n    scrape_configs:\n    - job_name: a\n      scrape_intervall: 5s\n";
    for (name, file, expected) in [
        (
            "rule.yaml",
            RULE,
            "rule.yaml line 9: group \"g\", rule 1, \"A\": could not parse expression: 1:20: parse error: unclosed left parenthesis",
        ),
        ("map.yaml", map, "map.yaml line 8: unknown field \"scrape_intervall\" in scrape config (scrape_interval?)"),
        (
            "prometheus.yml",
            "scrape_configs:\n- job_name: a\n  metric_path: /x\n",
            "promtool check config --syntax-only prometheus.yml",
        ),
        (
            "alertmanager.yml",
            "route: {receiver: slakc}\nreceivers:\n- name: slack\n",
            "undefined receiver \"slakc\" used in route (slack?)",
        ),
        (
            "values.yaml",
            "alertmanager:\n  config:\n    route: {receiver: a}\n    receivers: [{name: b}]\n",
            "in the Helm values alertmanager.config",
        ),
    ] {
        let folder = Folder::of(&[(name, file)]);
        let (out, err) = ends(&folder.run(&["-f", name]), 1);
        assert!(out.contains(expected) && err.is_empty(), "{name}: {expected}: {out}{err}");
    }
}

#[test]
fn what_was_not_judged_is_no_pass() {
    for text in ["", "hello\n", "# only\n# comments\n", "<html><body>404</body></html>\n"] {
        let folder = Folder::of(&[("x.yaml", text)]);
        let (out, err) = ends(&folder.run(&["-f", "x.yaml"]), 2);
        assert!(out.is_empty() && err.contains("nothing was judged"), "{text:?}: {out}{err}");
    }
    let folder = Folder::of(&[("kustomization.yaml", "resources: [a.yaml]\n")]);
    assert!(ends(&folder.run(&["-f", "."]), 2).1.contains("kubectl kustomize"));
}

#[test]
fn files_of_other_programs_are_named_and_no_pass() {
    for (name, text, what) in [
        ("loki.yaml", "auth_enabled: false\nschema_config: {configs: []}\n", "Loki's configuration"),
        ("blackbox.yml", "modules: {http_2xx: {prober: http}}\n", "blackbox exporter"),
        ("package.json", "{\"name\": \"x\"}\n", "nothing in it is known"),
    ] {
        let folder = Folder::of(&[(name, text), ("good.yaml", &service("a", 30090))]);
        let (out, err) = ends(&folder.run(&["-f", name]), 2);
        assert!(out.is_empty() && err.contains(what) && err.contains("is not judged"), "{name}: {out}{err}");
        // Beside what is judged it is said, and fails nothing.
        let (out, _) = ends(&folder.run(&["-f", ".", "--strict"]), 0);
        assert!(out.contains("1 file with 1 object") && out.contains("1 file not judged"), "{out}");
        assert!(out.contains(what), "{out}");
        let (out, _) = ends(&folder.run(&["-f", ".", "-o", "json"]), 0);
        let report: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(report["target"]["files_not_judged"][0]["file"], format!("./{name}"));
    }
    let rules = "groups: [{name: a, rules: [{alert: A, expr: up == 0, for: 5m}]}]\n";
    let folder = Folder::of(&[("rules.yaml", rules), ("values.yaml", "replicaCount: 1\n")]);
    let (out, _) = ends(&folder.run(&["-f", "."]), 0);
    assert!(out.contains("2 files with 1 configuration and 1 set of Helm values"), "{out}");
    // What is found all the same is told.
    let folder = Folder::of(&[("x.yaml", "a: {service: {type: NodePort, nodePort: 33000}}\n")]);
    assert!(ends(&folder.run(&["-f", "x.yaml"]), 1).0.contains("33000"));
    let alloy = Folder::of(&[("config.alloy", "logging {\n  level = \"info\"\n}\n")]);
    assert!(ends(&alloy.run(&["-f", "config.alloy"]), 2).1.contains("Alloy"));
}

#[test]
fn variables_are_left_to_what_replaces_them() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, namespace: obs}\nspec:\n  rules:\n  - host: \"${HOST_NAME}\"\n    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}\n";
    let base = "resources: [ingress.yaml]\n";
    let alone = Folder::of(&[("ingress.yaml", ingress)]);
    assert!(ends(&alone.run(&["-f", "."]), 1).0.contains("${HOST_NAME} was not replaced"));
    let patch = "resources: [../base]\npatches:\n- target: {kind: Ingress, name: a, group: networking.k8s.io, version: v1}\n  patch: |-\n    - op: replace\n      path: /spec/rules/0/host\n      value: a.example.org\n";
    let replacement = "resources: [../base]\nreplacements:\n- source: {kind: ConfigMap, name: c, fieldPath: data.host}\n  targets: [{select: {kind: Ingress}, fieldPaths: [spec.rules.0.host]}]\n";
    for overlay in [patch, replacement] {
        let folder = Folder::of(&[
            ("base/ingress.yaml", ingress),
            ("base/kustomization.yaml", base),
            ("over/kustomization.yaml", overlay),
        ]);
        let (out, err) = ends(&folder.run(&["-f", "."]), 0);
        assert!(out.starts_with("✓"), "{out}{err}");
    }
    let release = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: a, namespace: obs}\nspec: {url: \"https://example.org\"}\n";
    let flux = Folder::of(&[("a/ingress.yaml", ingress), ("a/kustomization.yaml", base), ("a/repo.yaml", release)]);
    let (out, _) = ends(&flux.run(&["-f", "."]), 0);
    assert!(out.starts_with("?") && out.contains("Flux Kustomization that may replace them"), "{out}");
    ends(&flux.run(&["-f", ".", "--strict"]), 3);
    let script =
        Folder::of(&[("ingress.yaml", ingress), ("deploy.sh", "envsubst < ingress.yaml | kubectl apply -f -\n")]);
    ends(&script.run(&["-f", "."]), 0);
    // Of values only what a controller of AWS reads.
    let values = "grafana:\n  env: {GF_SERVER_ROOT_URL: \"$ROOT_URL\"}\n  ingress:\n    annotations:\n      alb.ingress.kubernetes.io/certificate-arn: $CERT_ARN\n";
    let folder = Folder::of(&[("values.yaml", values)]);
    let (out, _) = ends(&folder.run(&["-f", "."]), 1);
    assert!(out.contains("values.yaml line 5: the variable ${CERT_ARN} was not replaced, in Helm values"), "{out}");
    assert!(!out.contains("ROOT_URL") && out.contains("helm upgrade"), "{out}");
    let script =
        Folder::of(&[("values.yaml", values), ("deploy.sh", "envsubst < values.yaml | helm upgrade a b -f -\n")]);
    ends(&script.run(&["-f", "."]), 0);
}

#[test]
fn ci_systems_get_their_formats_at_once() {
    let folder = Folder::of(&[("k8s/rule.yaml", RULE), ("k8s/good.yaml", &service("a", 30090))]);
    let args = ["-f", "k8s", "-o", "github", "-o", "sarif=out.sarif", "-o", "junit=out.xml", "-o", "gitlab=out.json"];
    let (out, err) = ends(&folder.run(&args), 1);
    assert!(err.is_empty() && out.starts_with("::error file=k8s/rule.yaml,line=9,col="), "{out}{err}");
    let read = |name: &str| std::fs::read_to_string(folder.path(name)).expect("written");
    let sarif: Value = serde_json::from_str(&read("out.sarif")).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&sarif["version"], &result["ruleId"]), (&"2.1.0".into(), &"rule-invalid".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"k8s/rule.yaml".into(), &9.into())
    );
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    assert!(rules.iter().all(|r| r["help"]["markdown"].as_str().is_some_and(|h| h.len() > 200)));
    let gitlab: Value = serde_json::from_str(&read("out.json")).expect("JSON");
    assert_eq!(gitlab[0]["location"]["path"], "k8s/rule.yaml");
    assert_eq!(gitlab[0]["fingerprint"], result["partialFingerprints"]["kdoctor/v1"]);
    let junit = read("out.xml");
    assert!(junit.contains("failures=\"1\"") && junit.contains("<testcase name=\"node-port-range\""), "{junit}");
    // Two that want stdout cannot both have it.
    assert!(
        ends(&folder.run(&["-f", "k8s", "-o", "json", "-o", "junit"]), 2).1.contains("two formats cannot share stdout")
    );
    assert!(
        ends(&folder.run(&["-f", "k8s", "-o", "sarf"]), 2).1.contains("there is: table, markdown, html, json, sarif,")
    );
    assert!(
        ends(&folder.run(&["-f", "k8s", "-o", "junit=missing/out.xml"]), 2)
            .1
            .contains("missing/out.xml cannot be written")
    );
}

#[test]
fn a_whole_stack_that_is_right_is_quiet() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: obs}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - {name: web, image: 'web:1', args: ['$(POD_IP)', '$HOME'], ports: [{name: http, containerPort: 80}]}\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: obs, labels: {app: web}}\nspec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}\n";
    let monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: web, namespace: obs}\nspec: {selector: {matchLabels: {app: web}}, endpoints: [{port: http, relabelings: [{replacement: '${1}', targetLabel: a}]}]}\n";
    let folder = Folder::of(&[
        ("web.yaml", &format!("{deployment}---\n{service}---\n{monitor}")),
        ("rule.yaml", &RULE.replace("[5m]) > 1", "[5m])) > 1")),
        ("values.yaml", "prometheus:\n  prometheusSpec: {retention: 10d}\nglobal: {imageRegistry: x}\n"),
    ]);
    let (out, _) = ends(&folder.run(&["-f", ".", "--strict"]), 0);
    assert!(out.starts_with("✓ no problem found"), "{out}");
}

#[test]
fn what_a_report_of_before_holds_does_not_fail_the_run() {
    let folder = Folder::of(&[("rule.yaml", RULE), ("other.json", "{}")]);
    ends(&folder.run(&["-f", "rule.yaml", "-o", "json=old.json"]), 1);
    let (_, err) = ends(&folder.run(&["-f", "rule.yaml", "--baseline", "old.json"]), 0);
    assert!(err.contains("1 of 1 findings stand in the baseline"), "{err}");
    std::fs::write(folder.path("bad.yaml"), service("a", 33000)).expect("writable");
    ends(&folder.run(&["-f", "rule.yaml", "-f", "bad.yaml", "--baseline", "old.json", "-o", "json=new.json"]), 1);
    assert!(
        ends(&folder.run(&["-f", "rule.yaml", "--baseline", "other.json"]), 2)
            .1
            .contains("other.json is no JSON report")
    );
    let diff =
        |args: &[&str]| kdoctor().current_dir(folder.path("")).arg("diff").args(args).output().expect("kdoctor runs");
    let (out, _) = ends(&diff(&["old.json", "new.json"]), 1);
    assert!(
        out.contains("new: 1\n- error[node-port-range]")
            && out.contains("resolved: 0")
            && out.contains("unchanged: 1\n"),
        "{out}"
    );
    assert!(ends(&diff(&["new.json", "old.json"]), 0).0.contains("resolved: 1\n- error[node-port-range]"));
    let (healthy, broken) = (fixture("healthy/plain"), fixture("demo/ebs-csi-missing"));
    let (out, _) = ends(&diff(&[&healthy, &broken]), 1);
    assert!(out.contains("- error[ebs-csi-addon-missing] ") && out.contains("(a symptom)"), "{out}");
}

#[test]
fn braces_in_the_values_of_a_release_make_no_template_of_it() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: stack, namespace: obs}\nspec:\n  values:\n    existingClaim: \"{{ .Release.Name }}\"\n    alertmanager:\n      config:\n        route: {receiver: a}\n        receivers: [{name: b}]\n";
    let folder = Folder::of(&[("release.yaml", release)]);
    let (out, _) = ends(&folder.run(&["-f", "release.yaml"]), 1);
    assert!(out.contains("undefined receiver \"a\" used in route") && !out.contains("Helm template"), "{out}");
    // A template among other files is said beside the verdict on them.
    let template = "{{- if .Values.x }}\napiVersion: v1\nkind: Service\n{{- end }}\n";
    let folder = Folder::of(&[("good.yaml", &service("a", 30090)), ("template.yaml", template)]);
    let (out, _) = ends(&folder.run(&["-f", "."]), 0);
    assert!(out.starts_with("? nothing wrong in what was judged; 1 file or folder could not be"), "{out}");
    ends(&folder.run(&["-f", ".", "--strict"]), 3);
}

#[test]
fn what_other_programs_read_is_left_to_them() {
    let script = "    - objectDefinition:\n        spec:\n          command:\n          - /bin/bash\n          - -c\n          - |\n            FIXED=${MAJOR}.$MINOR\n";
    let policy = format!(
        "apiVersion: policy.example.test/v1\nkind: Policy\nmetadata: {{name: p}}\nspec:\n  object-templates-raw: |\n{script}"
    );
    let events = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: events, namespace: obs}\ndata:\n  config.yaml: |\n    logLevel: error\n    route:\n      drop: [{type: Normal}]\n      routes:\n      - match: [{receiver: dump}]\n    receivers:\n    - name: dump\n      stdout: {}\n";
    let template = "apiVersion: v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: \"${NAME}\"}\nparameters: [{name: NAME}]\n";
    let request = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: imported, namespace: obs}\ndata:\n  a.json: |\n    {\"overwrite\": true, \"dashboard\":\n    \t{\"title\": \"a\", \"schemaVersion\": 16, \"panels\": []}}\n";
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {group: \"\", version: v1, kind: Namespace}\n  patch: |-\n    - op: add\n      path: /metadata/labels\n      value: {a: b}\n- path: patch.yaml\n";
    let patch = "patches:\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";
    let folder = Folder::of(&[
        ("policy.yaml", &policy),
        ("events.yaml", events),
        ("template.yaml", template),
        ("request.yaml", request),
        ("part/kustomization.yaml", component),
        ("part/patch.yaml", patch),
        ("ci.yaml", "stages: [a]\nstages: [b]\n"),
    ]);
    let (out, _) = ends(&folder.run(&["-f", ".", "--fail-on", "warning"]), 0);
    assert!(out.contains("✓ no problem found"), "{out}");
    // The same words where they are for the program of the stack.
    let labelled = request.replace("namespace: obs}", "namespace: obs, labels: {grafana_dashboard: \"1\"}}");
    let sources = "apiVersion: 1\ndatasources:\n- name: a\n  type: loki\n  url: http://a:1\n  url: http://b:1\n";
    let values = "replicas: 1\nreplicas: 2\n";
    let loud = Folder::of(&[("request.yaml", &labelled), ("values.yaml", values), ("sources.yaml", sources)]);
    let (out, _) = ends(&loud.run(&["-f", "."]), 1);
    assert!(out.contains("stands below \"dashboard\"") && out.contains("Helm silently takes the last"), "{out}");
    assert!(out.contains("sources.yaml line 6: the key \"url\" is there twice: Grafana takes the last"), "{out}");
}

#[test]
fn labels_that_only_resemble_each_other_are_no_slip() {
    let service = |name: &str, app: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: obs, labels: {{app: {app}}}}}\nspec: {{clusterIP: None, ports: [{{name: http, port: 80}}]}}\n"
        )
    };
    let monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m, namespace: obs}\nspec: {selector: {matchLabels: {app: kube-scheduler}}, endpoints: [{port: http}]}\n";
    let quiet = Folder::of(&[("a.yaml", &service("ksm", "kube-state-metrics")), ("m.yaml", monitor)]);
    ends(&quiet.run(&["-f", ".", "--fail-on", "warning"]), 0);
    let loud = Folder::of(&[("a.yaml", &service("s", "kube-schedulr")), ("m.yaml", monitor)]);
    let (out, _) = ends(&loud.run(&["-f", ".", "--fail-on", "warning"]), 1);
    assert!(out.contains("app=kube-scheduler selects nothing in the files"), "{out}");
}

#[test]
fn pods_of_any_kind_may_have_the_port_of_a_service() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80, targetPort: web}]}\n";
    let template = |port: &str| {
        format!(
            "template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: a, image: a, ports: [{{name: {port}, containerPort: 80}}]}}]}}}}"
        )
    };
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: other}}\nspec: {{selector: {{matchLabels: {{app: a}}}}, {}}}\n",
        template("api")
    );
    let controller = |port: &str| {
        format!("apiVersion: v1\nkind: ReplicationController\nmetadata: {{name: a}}\nspec: {{{}}}\n", template(port))
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\nspec: {containers: [{name: a, image: a, ports: [{name: web, containerPort: 80}]}]}\n";
    for own in [controller("web"), pod.to_owned()] {
        let quiet = Folder::of(&[("a.yaml", service), ("b.yaml", &deployment), ("c.yaml", &own)]);
        ends(&quiet.run(&["-f", ".", "--fail-on", "warning"]), 0);
    }
    let loud = Folder::of(&[("a.yaml", service), ("c.yaml", &controller("wbe"))]);
    let (out, _) = ends(&loud.run(&["-f", ".", "--fail-on", "warning"]), 1);
    assert!(out.contains("no container of ReplicationController a has a port called \"web\""), "{out}");
}

#[test]
fn json_with_comments_is_refused_with_its_place() {
    let bad = "{\n  // the port of the office\n  \"apiVersion\": \"v1\", \"kind\": \"Service\",\n  \"metadata\": {\"name\": \"s\", \"url\": \"http://x/*\"},\n  \"spec\": {\"type\": \"NodePort\", \"ports\": [{\"port\": 80, \"nodePort\": 33000}]}\n}\n";
    let folder = Folder::of(&[("s.json", bad), ("good.json", &bad.replace("  // the port of the office\n", ""))]);
    assert!(ends(&folder.run(&["-f", "s.json"]), 2).1.contains("s.json:2:3: not valid JSON: it has no comments"));
    assert!(ends(&folder.run(&["-f", "good.json"]), 1).0.contains("33000"));
}

#[test]
fn input_has_bounds() {
    let folder = Folder::of(&[("a.yaml", &service("a", 33000))]);
    let long = format!("{}{}", "# padding\n".repeat(7_200_000), service("a", 33000));
    let output = kdoctor().args(["preflight", "-f", "-"]).write_stdin(long).output().expect("kdoctor runs");
    assert!(ends(&output, 2).1.contains("standard input: cannot be read: is larger than 64 MiB"));
    assert!(ends(&folder.run(&["-f", "/dev/zero"]), 2).1.contains("is no file but a pipe, a socket or a device"));
    let text = "x".repeat(100_000);
    let aliases = format!("a: &a {text}\nb: [{}]\n", vec!["*a"; 20_000].join(", "));
    std::fs::write(folder.path("aliases.yaml"), aliases).expect("writable");
    assert!(ends(&folder.run(&["-f", "aliases.yaml"]), 2).1.contains("its aliases repeat too much"));
}

#[cfg(unix)]
#[test]
fn pipes_and_odd_names_are_named() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::of(&[("a.yaml", &service("a", 30090))]);
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe.yaml")).status().expect("mkfifo runs");
    assert!(made.success());
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.yaml");
    std::fs::write(folder.0.path().join(name), service("b", 33000)).expect("writable");
    let (_, err) = ends(&folder.run(&["-f", "."]), 2);
    assert!(err.contains("./pipe.yaml: cannot be read: is no file"), "{err}");
    assert!(err.contains("has a name that is not UTF-8"), "{err}");
}
