use super::*;

const FUNCTIONS: &[&str] =
    &["query", "first", "value", "humanize", "humanizePercentage", "reReplaceAll", "toUpper", "toJson"];
const VARIABLES: &[&str] = &["$", "$labels", "$value"];

fn fault(text: &str) -> String {
    parse(text, FUNCTIONS, VARIABLES).err().map(|f| format!("{} {}", f.place, f.message)).unwrap_or_default()
}

#[test]
fn takes_what_people_write() {
    for good in [
        "plain } text { with braces",
        "Instance {{ $labels.instance }} down: {{ $value | humanizePercentage }}.",
        "{{- /* note */ -}} {{ printf \"%.2f\" $value }}",
        "{{ with query \"up{job='x'}\" }}{{ . | first | value | humanize }}{{ else }}none{{ end }}",
        "{{ range $i, $e := query `up` }}{{ $i }}{{ $e.Labels.job }}{{ end }}",
        "{{ if eq $labels.a \"}}\" }}x{{ else if gt $value 1.5 }}y{{ end }}",
        "{{ $x := 1 }}{{ $x }}{{ ($labels).job }}{{ (index . 0).Value }}",
        "{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" $value }}",
        "{{ .Labels.job }} {{ $ }} {{ . }} {{ -1 }} {{ true }}",
        "{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}",
        "{{\n  $value\n}}",
        "{{ .Status | toUpper }}",
        "{{- range $i, $a := .Alerts -}}{{ if gt $i 0 }}, {{ end }}{{ $a.Labels.alertname }}{{ else }}none{{ end }}",
        "{{/* a comment {{ */}}{{ with .CommonLabels.env }}{{ . }}{{ else }}-{{ end }}",
        "{{ if and (eq .Status \"firing\") (not .X) }}a{{ else if eq 1 2 }}b{{ end }}",
        "{{ (index .Alerts 0).Annotations.summary }} {{ `raw` }} {{ 'x' }} {{ printf \"%.2f\" 1.5e3 }} {{ 1e-3 }}",
        "{{ $x := .A }}{{ $x = 2 }}{{ $.B }}{{ len .Alerts.Firing }}",
        "{{ block \"b\" . }}x{{ end }}",
        "{{ define \"a\" -}} {{- end }}{{ define \"a\" }}y{{ end }}",
        "{{ $value | humanize | }}",
        "{{ with $x := .A }}{{ else }}{{ $x }}{{ end }}",
        "{{ range .A }}{{ if .B }}{{ continue }}{{ end }}{{ end }}",
        "{{ if (print ($y := 1)) }}{{ end }}",
    ] {
        assert_eq!(fault(good), "", "{good}");
    }
}

#[test]
fn refuses_what_go_refuses() {
    for (bad, why) in [
        ("{{ $label.instance }}", "1:4 undefined variable \"$label\""),
        ("{{ $labels.instance }", "unexpected \"}\" in operand"),
        ("{{ define \"t\" }}[{{ .Status | toUpper }] {{ .X }}{{ end }}", "1:39 unexpected \"}\" in operand"),
        ("{{ $labels.instance", "unclosed action"),
        ("{{ .Status | upperCase }}", "1:14 function \"upperCase\" not defined"),
        ("{{ }}", "missing value for command"),
        ("{{ if }}x{{ end }}", "missing value for if"),
        ("{{ if $value }}x", "unexpected EOF"),
        ("x{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ .x }}{{ ..y }}", "unexpected . after term \".\""),
        ("{{ $value | | humanize }}", "unexpected \"|\" in command"),
        ("{{ reReplaceAll '(a)' $value }}", "malformed character constant"),
        ("{{ \"abc }}", "unterminated quoted string"),
        ("{{ ($value }}", "unclosed left paren"),
        ("{{ $value) }}", "unexpected right paren"),
        ("{{ $labels.a-b }}", "bad character U+002D '-'"),
        ("{{ if $x := 1 }}{{ end }}{{ $x }}", "undefined variable \"$x\""),
        ("{{ range .A }}{{ $y := . }}{{ end }}{{ $y }}", "undefined variable \"$y\""),
        ("{{ define \"t\" }}{{ $labels.job }}{{ end }}", "undefined variable \"$labels\""),
        ("{{ if .A }}{{ define \"t\" }}{{ end }}{{ end }}", "unexpected <define> in command"),
        ("{{ labels.job }}", "function \"labels\" not defined"),
        ("{{/* open }}", "unclosed comment"),
        ("{{ /* a */ }}", "unexpected \"/\" in command"),
        ("{{ 1x }}", "bad number syntax"),
        ("{{ template x }}", "unexpected \"x\" in template clause"),
        ("{{ .A | \"x\" }}", "non executable command in pipeline stage 2"),
        ("{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}", "multiple definition of template \"a\""),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("a\nb {{ $labels.x }}\n{{ nope }}", "3:4 function \"nope\""),
    ] {
        let found = fault(bad);
        assert!(!found.is_empty() && found.contains(why), "{bad}: {found}");
    }
}

#[test]
fn says_what_was_meant() {
    let meant = |text| parse(text, FUNCTIONS, VARIABLES).err()?.unknown?.meant(FUNCTIONS, VARIABLES);
    assert_eq!(meant("{{ .Status | upperCase }}"), Some("toUpper"));
    assert_eq!(meant("{{ humanise $value }}"), Some("humanize"));
    assert_eq!(meant("{{ tojson . }}"), Some("toJson"));
    assert_eq!(meant("{{ labels.job }}"), Some("$labels"));
    assert_eq!(meant("{{ $label.job }}"), Some("$labels"));
    assert_eq!(meant("{{ somethingNew . }}"), None);
}
