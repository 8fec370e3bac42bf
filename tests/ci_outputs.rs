//! The contract with CI systems: one exit code in every format, and documents of the form that each system asks for. SARIF is
//! held against its official schema (`tests/schemas`); what code scanning and the others require stands here.

mod support;
#[path = "support/xsd.rs"]
mod xsd;

use std::process::Output;

use serde_json::{Value, json};
use support::kdoctor;
use xsd::{Element, Schema};

const FORMATS: [&str; 8] = ["table", "markdown", "html", "json", "sarif", "junit", "github", "gitlab"];

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: obs}\ndata: {a: b}\n";
const WRONG: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: \"100% a:b,c\", namespace: obs}\nspec:\n  replicas: \"1\"\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n    spec: {containers: [{name: a, image: a}]}\n";
const WEAK: &str = "grafana:\n  adminPassword: admin\n";
const BROKEN: &str = "apiVersion: v1\nkind: [\n";
const TEMPLATE: &str = "{{- if .Values.x }}\napiVersion: v1\nkind: Service\n{{- end }}\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            std::fs::write(folder.0.path().join(name), text).expect("writable");
        }
        folder
    }

    fn run(&self, args: &[&str]) -> Output {
        kdoctor().current_dir(self.0.path()).arg("preflight").args(args).output().expect("kdoctor runs")
    }

    fn text(&self, format: &str, args: &[&str]) -> String {
        let output = self.run(&[args, &["-f", ".", "-o", format]].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, format: &str, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(format, args)).expect("JSON")
    }
}

#[test]
fn the_exit_code_is_the_same_in_every_format() {
    let (good, wrong, weak) = (("good.yaml", GOOD), ("wrong.yaml", WRONG), ("values.yaml", WEAK));
    let (broken, template) = (("broken.yaml", BROKEN), ("template.yaml", TEMPLATE));
    for (files, args, code) in [
        (&[good][..], &[][..], 0),
        (&[good, wrong], &[], 1),
        (&[good, weak], &[], 0),
        (&[good, weak], &["--fail-on", "warning"], 1),
        (&[good, wrong], &["--fail-on", "never"], 0),
        (&[good, wrong], &["--skip", "manifest-invalid"], 0),
        (&[good, broken], &[], 2),
        (&[wrong, broken], &["--fail-on", "never"], 2),
        (&[good, template], &[], 0),
        (&[good, template], &["--strict"], 3),
        (&[wrong, template], &["--strict"], 1),
        (&[template], &[], 2),
    ] {
        let folder = Folder::of(files);
        for format in FORMATS {
            let output = folder.run(&[args, &["-f", ".", "-o", format]].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{files:?} {args:?} {format}: {said}");
        }
    }
}

#[test]
fn a_baseline_holds_what_is_found_and_a_run_fails_on_what_is_new() {
    let folder = Folder::of(&[("wrong.yaml", WRONG), ("values.yaml", WEAK)]);
    let write = |args: &[&str]| {
        let mut command = kdoctor();
        command.current_dir(folder.0.path()).args(["baseline", "write"]).args(args);
        let output = command.output().expect("kdoctor runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = write(&["-f", "wrong.yaml", "-f", "values.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 findings in kdoctor-baseline.json"), "{said}");
    let text = std::fs::read_to_string(folder.0.path().join("kdoctor-baseline.json")).expect("written");
    let baseline: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(baseline["findings"].as_array().map(Vec::len), Some(2), "{text}");
    let files = ["-f", "wrong.yaml", "-f", "values.yaml", "--baseline", "kdoctor-baseline.json"];
    for format in FORMATS {
        let output = folder.run(&[&files[..], &["--fail-on", "warning", "-o", format]].concat());
        assert_eq!(output.status.code(), Some(0), "{format}");
    }
    std::fs::write(folder.0.path().join("new.yaml"), WRONG.replace("100% a:b,c", "other")).expect("writable");
    assert_eq!(folder.run(&[&files[..], &["-f", "new.yaml"]].concat()).status.code(), Some(1));
    // What cannot be read is in no baseline.
    std::fs::write(folder.0.path().join("broken.yaml"), BROKEN).expect("writable");
    assert_eq!(write(&["part.json", "-f", "wrong.yaml", "-f", "broken.yaml"]).0, Some(2));
    assert_eq!(write(&["missing/part.json", "-f", "wrong.yaml"]).0, Some(2));
}

/// The official schema of SARIF 2.1.0.
fn official_sarif() -> Value {
    serde_json::from_str(include_str!("schemas/sarif-2.1.0.json")).expect("JSON")
}

/// What code scanning asks of a document of findings beside the schema.
fn of_sarif() -> Value {
    let text =
        json!({"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}});
    let level = json!({"enum": ["none", "note", "warning", "error"]});
    let region = json!({
        "type": "object", "required": ["startLine"],
        "properties": {
            "startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1},
            "snippet": text,
        },
    });
    let place = json!({
        "type": "object", "required": ["physicalLocation"],
        "properties": {"physicalLocation": {
            "type": "object", "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object", "required": ["uri"],
                    "properties": {"uri": {"type": "string", "pattern": "^[^ \\\\/][^ \\\\]*$"}},
                },
                "region": region,
            },
        }},
    });
    let rule = json!({
        "type": "object", "required": ["id", "shortDescription", "help", "defaultConfiguration"],
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "maxLength": 255},
            "shortDescription": text,
            "help": {"type": "object", "required": ["text", "markdown"]},
            "defaultConfiguration": {"type": "object", "properties": {"level": level}},
            "properties": {"type": "object", "properties": {"tags": {"type": "array", "maxItems": 20, "uniqueItems": true}}},
        },
    });
    let result = json!({
        "type": "object", "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
        "properties": {
            "ruleIndex": {"type": "integer", "minimum": 0}, "level": level, "message": text,
            "locations": {"type": "array", "minItems": 1, "maxItems": 10, "items": place},
            "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        },
    });
    let driver = json!({
        "type": "object", "required": ["name", "semanticVersion", "rules"],
        "properties": {"rules": {"type": "array", "minItems": 1, "uniqueItems": true, "items": rule}},
    });
    let note = json!({"type": "object", "required": ["message"], "properties": {"level": level, "message": text}});
    let invocation = json!({
        "type": "object", "required": ["executionSuccessful"],
        "properties": {
            "executionSuccessful": {"type": "boolean"},
            "toolExecutionNotifications": {"type": "array", "items": note},
        },
    });
    json!({
        "type": "object", "required": ["$schema", "version", "runs"],
        "properties": {
            "version": {"const": "2.1.0"},
            "runs": {"type": "array", "minItems": 1, "maxItems": 20, "items": {
                "type": "object", "required": ["tool", "results"],
                "properties": {
                    "tool": {"type": "object", "required": ["driver"], "properties": {"driver": driver}},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {"type": "array", "items": invocation},
                    "results": {"type": "array", "maxItems": 5000, "items": result},
                },
            }},
        },
    })
}

fn fits(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).expect("a valid schema");
    let faults: Vec<String> =
        validator.iter_errors(document).map(|e| format!("{e} at {}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let folder = Folder::of(&[("wrong.yaml", WRONG), ("values.yaml", WEAK), ("a b.yaml", WRONG), ("t.yaml", TEMPLATE)]);
    let document = folder.json("sarif", &[]);
    fits(&of_sarif(), &document);
    fits(&official_sarif(), &document);
    let broken = Folder::of(&[("wrong.yaml", WRONG), ("broken.yaml", BROKEN)]).json("sarif", &[]);
    fits(&official_sarif(), &broken);
    let mut unknown = document.clone();
    unknown["runs"][0]["results"][0]["lines"] = json!(1);
    let schema = jsonschema::validator_for(&official_sarif()).expect("a valid schema");
    assert!(!schema.is_valid(&unknown), "the schema refuses what it does not have");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for result in results {
        let at = result["ruleIndex"].as_u64().and_then(|at| rules.get(usize::try_from(at).ok()?));
        assert_eq!(at.map(|rule| &rule["id"]), Some(&result["ruleId"]));
    }
    assert!(document.to_string().contains("a%20b.yaml"), "a path is a URI");
    // The line of a finding may move without making it another one.
    let moved = Folder::of(&[("wrong.yaml", &format!("# head\n\n{WRONG}"))]);
    let ids = |document: &Value| document["runs"][0]["results"][0]["partialFingerprints"].clone();
    assert_eq!(ids(&moved.json("sarif", &[])), ids(&Folder::of(&[("wrong.yaml", WRONG)]).json("sarif", &[])));
    // Without a cluster nothing of it is missing.
    let notes = |document: &Value| {
        document["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(notes(&document), 1, "the template alone: {document}");
    // A run without findings is a document, too.
    let without = Folder::of(&[("good.yaml", GOOD)]).json("sarif", &[]);
    fits(&of_sarif(), &without);
    fits(&official_sarif(), &without);
}

#[test]
fn gitlab_has_the_fields_of_a_code_quality_report() {
    let schema = json!({"type": "array", "items": {
        "type": "object", "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1}, "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 8},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object", "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^./]"},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}},
                },
            },
        },
    }});
    let folder = Folder::of(&[("wrong.yaml", WRONG), ("values.yaml", WEAK)]);
    let document = folder.json("gitlab", &[]);
    fits(&schema, &document);
    let mut ids: Vec<&str> =
        document.as_array().expect("a list").iter().filter_map(|i| i["fingerprint"].as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((count, ids.len()), (2, 2), "each its own");
    assert_eq!(Folder::of(&[("good.yaml", GOOD)]).json("gitlab", &[]), json!([]));
}

#[test]
fn junit_counts_what_it_holds() {
    let folder = Folder::of(&[("wrong.yaml", WRONG), ("values.yaml", WEAK)]);
    let text = folder.text("junit", &["--fail-on", "warning"]);
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{text}");
    let number = |name: &str| -> usize {
        let (_, rest) = text.split_once(&format!("{name}=\"")).expect("is said");
        rest.split('"').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    let count = |tag: &str| text.matches(&format!("<{tag}")).count();
    assert_eq!((number("tests"), number("failures"), number("errors")), (count("testcase"), count("failure"), 0));
    assert_eq!((count("failure"), text.matches("</testsuite>").count()), (2, count("testsuite ")));
    assert!(text.contains("name=\"manifest-invalid\" classname=\"kdoctor.manifests\""), "{text}");
}

#[test]
fn junit_fits_the_schema_by_which_jenkins_takes_files() {
    let schema = Schema::read(include_str!("schemas/junit-10.xsd"));
    let folder = Folder::of(&[("wrong.yaml", WRONG), ("values.yaml", WEAK)]);
    let of_cluster = |demo: &str| {
        let output = kdoctor().args(["monitoring", "--demo", demo, "-o", "junit"]).output().expect("kdoctor runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let mut seen = Vec::new();
    for text in [
        folder.text("junit", &[]),
        folder.text("junit", &["--fail-on", "warning"]),
        Folder::of(&[("good.yaml", GOOD)]).text("junit", &[]),
        Folder::of(&[("good.yaml", GOOD), ("broken.yaml", BROKEN), ("t.yaml", TEMPLATE)]).text("junit", &[]),
        of_cluster("ebs-csi-missing"),
    ] {
        let document = Element::read(&text);
        assert_eq!(schema.faults(&document), Vec::<String>::new(), "{text}");
        seen.extend(document.names().into_iter().map(str::to_owned));
    }
    for name in ["testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"] {
        assert!(seen.iter().any(|s| s == name), "{name}");
    }
    let good = "<testsuites><testsuite name='a' tests='1' failures='0' errors='0'><testcase name='a'/></testsuite></testsuites>";
    assert_eq!(schema.faults(&Element::read(good)), Vec::<String>::new());
    for (from, to, expected) in [
        ("<testsuites>", "<testsuites skipped='0'>", "testsuites has no attribute skipped"),
        (" tests='1'", "", "testsuites/testsuite lacks the attribute tests"),
        ("failures='0'", "failures='0' time='soon'", "time may not be \"soon\""),
        ("<testcase name='a'/>", "<case/>", "testsuites/testsuite may not hold case;"),
        ("<testcase name='a'/>", "text", "testsuites/testsuite holds no text"),
        ("<testcase name='a'/>", "<system-out a='b'/>", "testsuites/testsuite/system-out holds text alone"),
    ] {
        let faults = schema.faults(&Element::read(&good.replace(from, to)));
        assert!(faults.iter().any(|f| f.contains(expected)), "{to}: {faults:?}");
    }
}

#[test]
fn annotations_are_commands_that_github_reads() {
    let many: Vec<(String, String)> =
        (0..15).map(|n| (format!("w{n}.yaml"), WRONG.replace("100% a:b,c", &format!("100% a:b,c{n}")))).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let text = Folder::of(&files).text("github", &[]);
    let mut errors = 0;
    for line in text.lines() {
        let (head, message) = line.strip_prefix("::").and_then(|l| l.split_once("::")).expect("a command");
        let (level, properties) = head.split_once(' ').unwrap_or((head, ""));
        assert!(["error", "warning", "notice"].contains(&level) && !message.is_empty(), "{line}");
        for property in properties.split(',').filter(|p| !p.is_empty()) {
            let (name, value) = property.split_once('=').expect("a name and a value");
            assert!(["file", "line", "col", "title"].contains(&name) && !value.contains(':'), "{line}");
        }
        errors += usize::from(level == "error");
    }
    assert_eq!(errors, 10, "no more are shown: {text}");
    assert!(text.contains("found 6 more of this level"), "{text}");
}
