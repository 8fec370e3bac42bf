//! What to make of the error that a notification template ends with: Go's words, and what Alertmanager gives a template.

use crate::text::pattern::pattern;

/// Fields of the whole notification.
const DATA: &[&str] =
    &["Receiver", "Status", "Alerts", "GroupLabels", "CommonLabels", "CommonAnnotations", "ExternalURL"];
/// Fields of one alert.
const ALERT: &[&str] = &["Status", "Labels", "Annotations", "StartsAt", "EndsAt", "GeneratorURL", "Fingerprint"];

/// Empty where the error says nothing that is known.
pub(super) fn advice(error: &str) -> String {
    let error = error.replace("\\\"", "\"");
    if let Some(found) =
        pattern!(r"can't evaluate field (\w+) in type \*?template\.(Data|Alerts|Alert)\b").captures(&error)
    {
        return of_field(&found[1], &found[2]);
    }
    if let Some(found) = pattern!(r#"function "(\w+)" not defined"#).captures(&error) {
        return format!(
            "`{}` is no function of Alertmanager's templates. They have those of Go and `toUpper`, `toLower`, `title`, `trimSpace`, `join`, `match`, `reReplaceAll`, `stringSlice`, `safeHtml`, newer versions also `date`, `tz`, `since`, `humanizeDuration`, `toJson` and others; those of Prometheus' rules (`humanize`, `query`) and of Helm (`default`, `quote`) are not there. Write numbers as they are to be read into an annotation of the rule, where `humanize` works.",
            &found[1]
        );
    }
    if error.contains("index out of range") {
        return "It takes an element that is not there in each notification, as `index .Alerts.Firing 0` where all of them are resolved: put it inside an `if`, or go through them with `range`.".to_owned();
    }
    String::new()
}

fn of_field(field: &str, place: &str) -> String {
    let known = |all: &[&'static str]| all.iter().find(|f| f.eq_ignore_ascii_case(field)).copied();
    match (place, known(DATA), known(ALERT)) {
        ("Data", Some(right), _) | ("Alert", _, Some(right)) if right != field => {
            format!("Names of fields begin with a capital letter: `.{right}` instead of `.{field}`.")
        }
        ("Data", _, Some(right)) => {
            let shared = match right {
                "Labels" | "Annotations" => format!(", or take `.Common{right}`, which has what all of them share"),
                _ => String::new(),
            };
            format!(
                "`.{right}` is a field of one alert, and a notification is about several: go through them with `range .Alerts` and write it inside{shared}."
            )
        }
        ("Alerts", ..) => format!(
            "`.Alerts` is a list, and has `.Firing` and `.Resolved` alone: go through it with `range .Alerts`, and write `.{field}` inside."
        ),
        ("Alert", Some(right), _) => format!(
            "Inside `range .Alerts` the dot is one alert; `.{right}` belongs to the whole notification, which is `$.{right}` there."
        ),
        ("Data", ..) => format!("A notification has no `.{field}`. It has {}.", listed(DATA)),
        _ => {
            format!("An alert has no `.{field}`. It has {}; a label of that name is `.Labels.{field}`.", listed(ALERT))
        }
    }
}

fn listed(fields: &[&str]) -> String {
    fields.iter().map(|f| format!("`.{f}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_a_field_is() {
        let of = |field: &str, place: &str| {
            advice(&format!(
                "template: :1:9: executing \\\"\\\" at <.{field}.x>: can't evaluate field {field} in type {place}"
            ))
        };
        assert!(of("Annotations", "*template.Data").contains("`.CommonAnnotations`"));
        assert!(of("Fingerprint", "*template.Data").contains("`range .Alerts`"));
        assert!(of("GroupLabels", "template.Alert").contains("`$.GroupLabels`"));
        assert!(of("alerts", "*template.Data").contains("`.Alerts` instead"));
        assert!(of("Labels", "template.Alerts").contains("is a list"));
        assert!(of("namespace", "template.Alert").contains("`.Labels.namespace`"));
        assert!(of("Foo", "*template.Data").contains("`.ExternalURL`"));
        assert!(advice("template: :1: function \"humanize\" not defined").contains("no function"));
        assert!(advice("template \"x\" not defined").is_empty());
    }
}
