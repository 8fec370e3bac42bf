//! The pages against the checks that fill them in.

use std::collections::{BTreeMap, BTreeSet};

use kdoctor::checks;
use kdoctor::pages;
use serde_json::Value;

/// What a fix holds, by its schema.
struct Fields {
    /// What stands beside the enum: values of the check, which any variant may show.
    common: BTreeSet<String>,
    /// The fields of each variant.
    own: BTreeMap<String, BTreeSet<String>>,
}

fn fields(schema: &Value) -> Fields {
    let names = |all: BTreeMap<String, Value>| all.into_keys().collect::<BTreeSet<String>>();
    let mut common = BTreeMap::new();
    properties(schema, schema, &mut common);
    let variants = schema["oneOf"].as_array().expect("a fix is an enum with a tag");
    let own = variants.iter().map(|variant| {
        let mut all = BTreeMap::new();
        properties(schema, variant, &mut all);
        let tag = all.remove(kdoctor::model::VARIANT).expect("the tag is called variant");
        (tag["const"].as_str().expect("a variant has a name").to_owned(), names(all))
    });
    Fields { own: own.collect(), common: names(common) }
}

fn properties(root: &Value, schema: &Value, all: &mut BTreeMap<String, Value>) {
    if let Some(path) = schema["$ref"].as_str() {
        let target = root.pointer(path.trim_start_matches('#')).expect("a reference leads somewhere");
        properties(root, target, all);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        properties(root, part, all);
    }
    for (name, value) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone(), value.clone());
    }
}

#[test]
fn typed_fixes_are_the_sections_of_the_page_and_fields_their_values() {
    let mut wrong = Vec::new();
    for check in checks::registry() {
        let meta = check.meta();
        let page = pages::of(meta).expect("it has a page");
        let Fields { common, own } = fields((meta.fix)().as_value());
        let sections: BTreeSet<&str> = page.variants().into_iter().collect();
        let variants: BTreeSet<&str> = own.keys().map(String::as_str).collect();
        if sections != variants {
            wrong.push(format!("{}: the page has the sections {sections:?}, the type {variants:?}", meta.id));
        }
        let mut shown = BTreeSet::new();
        for (variant, fields) in &own {
            let Ok(used) = page.variables(variant).map_err(|e| wrong.push(format!("{} {variant}: {e}", meta.id)))
            else {
                continue;
            };
            let unset: Vec<_> = used.iter().filter(|u| !fields.contains(*u) && !common.contains(*u)).collect();
            if !unset.is_empty() {
                wrong.push(format!("{} {variant}: the page names {unset:?}, the type has {fields:?}", meta.id));
            }
            let unused: Vec<_> = fields.difference(&used).collect();
            if !unused.is_empty() {
                wrong.push(format!("{} {variant}: the page has no use for {unused:?}", meta.id));
            }
            shown.extend(used);
        }
        let unused: Vec<_> = common.difference(&shown).collect();
        if !unused.is_empty() {
            wrong.push(format!("{}: the page has no use for {unused:?}", meta.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An unquoted `<name>` would be a redirection once somebody pastes it.
#[test]
fn placeholders_in_commands_are_quoted() {
    for check in checks::registry() {
        let page = pages::of(check.meta()).expect("it has a page");
        for template in page.shell_templates() {
            assert_eq!(unquoted_placeholder(template), None, "{}: {template}", check.meta().id);
        }
    }
}

/// The first `<name>` outside quotes, templates and here-documents.
fn unquoted_placeholder(command: &str) -> Option<&str> {
    let mut quote = None;
    let mut letters = command.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), l) if l == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{') if command[at..].starts_with("{%") => {
                // A condition's quotes are its own.
                while letters.next_if(|(at, _)| !command[*at..].starts_with("%}")).is_some() {}
            }
            (None, '<') if command[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                return command[at..].split_inclusive('>').next();
            }
            _ => {}
        }
    }
    None
}

#[test]
fn the_search_for_placeholders_knows_quotes() {
    assert_eq!(unquoted_placeholder("get '<name>' --x=\"<y>\" << 'EOF'"), None);
    assert_eq!(unquoted_placeholder("{% if x == 'a' %}helm upgrade <release> x{% endif %}"), Some("<release>"));
}

/// Commands that only one of two branches prints are never shown as one.
#[test]
fn explained_commands_are_commands() {
    const PROGRAMS: [&str; 8] = ["kubectl ", "aws ", "helm ", "eksctl ", "curl ", "promtool ", "amtool ", "flux "];
    let mut seen = 0;
    for check in checks::registry() {
        let id = check.meta().id;
        let text = pages::readable(pages::of(check.meta()).expect("it has a page"));
        for block in text.split("```sh\n").skip(1) {
            let code = block.split("\n```").next().unwrap_or_default();
            seen += 1;
            assert_eq!(unquoted_placeholder(code), None, "{id}: {code}");
            for (program, (at, _)) in PROGRAMS.iter().flat_map(|p| code.match_indices(p).map(move |m| (p, m))) {
                let before = code[..at].chars().next_back();
                let apart = before.is_none_or(|c| c.is_whitespace() || "(`'\"/=-.".contains(c));
                assert!(apart, "{id}: {program}is glued to what stands before it: {code}");
            }
            let lines: Vec<&str> = code.lines().collect();
            let distinct: BTreeSet<&&str> = lines.iter().collect();
            assert_eq!(lines.len(), distinct.len(), "{id}: a line stands twice: {code}");
        }
        assert!(!text.contains("{{") && !text.contains("{%"), "{id}: a template is left: {text}");
    }
    assert!(seen > 300, "{seen}");
}

/// The engine quotes each value of a manifest: quotes of the page's own around it would be two pairs.
#[test]
fn values_of_manifests_are_quoted_once() {
    let mut wrong = Vec::new();
    for check in checks::registry() {
        let page = pages::of(check.meta()).expect("it has a page");
        let lines = page.manifest_templates().into_iter().flat_map(str::lines);
        let quoted = lines.filter(|line| line.contains("\"{{") || line.contains("'{{"));
        wrong.extend(quoted.map(|line| format!("{}: {line}", check.meta().id)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_step_of_a_page_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for check in checks::registry() {
        let page = pages::of(check.meta()).expect("it has a page");
        wrong.extend(page.wordless_templates().into_iter().map(|t| format!("{}: {t}", check.meta().id)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What no command of a page may do, whether a fixture shows it or not: each is a harm that one has done.
#[test]
fn no_page_has_a_command_that_did_harm() {
    let mut wrong = Vec::new();
    for check in checks::registry() {
        let page = pages::of(check.meta()).expect("it has a page");
        let found = page.shell_templates().into_iter().filter_map(|t| Some((harm(t)?, t)));
        wrong.extend(found.map(|(why, template)| format!("{}: {why}: {template}", check.meta().id)));
    }
    // The chart may be a folder beside the values that were given, and has no version then.
    wrong.retain(|w| !w.starts_with("node-port-range: the chart moves"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn harm(template: &str) -> Option<&'static str> {
    let has = |word: &str| template.contains(word);
    if has("create secret generic") && has("apply") {
        return Some("a Secret loses its other keys");
    }
    if has("create secret docker-registry") && !has(".auths") {
        return Some("a Secret loses its other logins");
    }
    if has("base64 <") && !has("test -s ") {
        return Some("a file that is not there empties a key");
    }
    // A branch ends where the next tag begins.
    let shows = |part: &str| part.contains("get secret ") && (part.contains("-o yaml") || part.contains("-o json "));
    if has("edit secret ") || template.split("{%").any(shows) {
        return Some("all that a Secret holds is shown");
    }
    if ["9090", "9093", "3000", "3100"].iter().any(|port| has(&format!("://localhost:{port}"))) {
        return Some("a program is asked where it need not listen: its flags say where, and below which path");
    }
    if has("--from-literal=") && has("<") {
        return Some("a value stands in the shell's history");
    }
    let upgrades = |l: &str| l.contains("helm upgrade ") && !l.contains("--install") && !l.contains("--version");
    if template.lines().any(upgrades) {
        return Some("the chart moves");
    }
    if has("can-i get nodes/") {
        return Some("kubectl reads TYPE/NAME");
    }
    if has("create-volume") && !has(r#"--snapshot-id "$SNAPSHOT_ID""#) {
        return Some("the snapshot may not be complete, or is not named");
    }
    if has("aws iam get-policy ") && !has("get-policy-version") {
        return Some("a policy is its version");
    }
    has("https://127.0.0.1/").then_some("the log names the address")
}

#[test]
fn the_search_for_harm_finds_what_was_done() {
    for bad in [
        "kubectl create secret generic {{ name }} --from-file=a --dry-run=client -o yaml | kubectl apply -f -",
        "kubectl create secret docker-registry {{ name }} --docker-server=a --dry-run=client -o yaml | kubectl apply -f -",
        "printf '%s' \"$(base64 < {{ key }})\" | kubectl patch secret {{ name }} --patch-file=/dev/stdin",
        "kubectl get secret {{ name }} -n {{ namespace }} -o yaml",
        "{% if a %}kubectl edit secret {{ name }} -n {{ namespace }}{% endif %}",
        "helm upgrade {{ release }} {{ chart }} -n {{ namespace }} -f values.yaml",
        "kubectl auth can-i get nodes/metrics --as={{ user }}",
        "aws ec2 create-volume --snapshot-id '<snapshot-id>' --availability-zone {{ zone }}",
        "aws iam get-policy --policy-arn {{ policy }}",
        "curl -k https://127.0.0.1/version",
    ] {
        assert!(harm(bad).is_some(), "{bad}");
    }
    let branches = "{% if a %}kubectl get secret {{ a }} -o jsonpath={{ b }}{% else %}kubectl get x -o yaml{% endif %}";
    assert_eq!(harm(branches), None);
}
