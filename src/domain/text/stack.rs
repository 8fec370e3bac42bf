//! Stacks of calls that Go's programs print behind an error.

use std::borrow::Cow;

/// A line of a stack: a function, or the file in which it is called.
pub(crate) fn is_frame(line: &str) -> bool {
    let text = line.trim();
    let of_file = || {
        let (path, number) = text.rsplit_once(':')?;
        Some(
            path.starts_with('/')
                && (path.ends_with(".go") || path.ends_with(".s"))
                && number.bytes().all(|b| b.is_ascii_digit()),
        )
    };
    // `main.main`, `runtime.goexit`, `github.com/grafana/dskit/modules.(*Manager).initModule`
    let of_function = || {
        let last = text.rsplit('/').next().unwrap_or(text);
        let path = text.contains(".com/") || text.contains(".org/") || text.contains(".io/");
        let own = ["main.", "runtime."].iter().any(|p| last.starts_with(p));
        !text.contains([' ', ':', '"', '=']) && last.contains('.') && (path || own)
    };
    !text.is_empty() && (of_file().unwrap_or(false) || of_function())
}

/// The lines of a text without the frames of Python's and Java's stacks: what was raised stays.
pub(crate) fn apart(text: &str) -> Vec<&str> {
    let mut told = Vec::new();
    // Below the place in a file stand its source, and marks below that.
    let mut depth: Option<usize> = None;
    for line in text.lines() {
        let own = line.len() - line.trim_start().len();
        let plain = line.trim();
        if plain.starts_with("Traceback (most recent call last)") {
            depth = None;
            continue;
        }
        let is_place = plain.starts_with("File \"") && plain.contains("\", line ");
        if is_place {
            depth = Some(own);
            continue;
        }
        if depth.is_some_and(|at| own > at) {
            continue;
        }
        depth = None;
        // `	at java.base/java.lang.Thread.run(Thread.java:840)`, `... 12 more`
        let of_java = own > 0 && plain.starts_with("at ") && plain.contains('(') && plain.ends_with(')');
        let rest = plain.strip_prefix("... ").is_some_and(|r| r.ends_with(" more"));
        if !of_java && !rest {
            told.push(line);
        }
    }
    told
}

/// An error without the stack behind it.
pub(crate) fn without(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if is_frame(line) {
            break;
        }
        end += line.len();
    }
    match end {
        0 => text,
        end => text[..end].trim_end(),
    }
}

/// A line of JSON without the field in which Go's loggers keep the stack.
pub(crate) fn without_field(line: &str) -> Cow<'_, str> {
    const FIELD: &str = ",\"stacktrace\":\"";
    let Some((before, value)) = line.split_once(FIELD).filter(|_| line.starts_with('{')) else { return line.into() };
    let mut escaped = false;
    let end = value.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    format!("{before}{}", end.map_or("", |at| &value[at + 1..])).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_raised_stays_without_its_places() {
        let python = "Starting collector\nTraceback (most recent call last):\n  File \"/app/sidecar.py\", line 54, in <module>\n    main()\n    ^^^^^^\n  File \"/app/resources.py\", line 155, in watchForChanges\n    raise Exception(\"Loop died\")\nException: Loop died\n";
        assert_eq!(apart(python), ["Starting collector", "Exception: Loop died"]);
        let java = "java.lang.IllegalStateException: no port\n\tat com.x.Main.run(Main.java:4)\n\t... 12 more\nCaused by: java.io.IOException: closed\n";
        assert_eq!(apart(java), ["java.lang.IllegalStateException: no port", "Caused by: java.io.IOException: closed"]);
        assert_eq!(apart("look at a (b)\n  - item"), ["look at a (b)", "  - item"]);
    }

    #[test]
    fn a_line_keeps_its_other_fields() {
        let line = r#"{"level":"error","msg":"a \"b\"","stacktrace":"x.(*Y).\"Z\"\n\t/a.go:1","error":"no matches"}"#;
        assert_eq!(without_field(line), r#"{"level":"error","msg":"a \"b\"","error":"no matches"}"#);
        let last = r#"{"error":"no matches","stacktrace":"x"}"#;
        assert_eq!(without_field(last), r#"{"error":"no matches"}"#);
        assert_eq!(without_field("plain"), "plain");
    }

    #[test]
    fn an_error_ends_where_its_stack_begins() {
        let error = "mkdir wal: permission denied\nerror initialising module: ingester\ngithub.com/grafana/dskit/modules.(*Manager).initModule\n\t/src/loki/vendor/modules.go:138\nmain.main\n\t/src/loki/main.go:129\nruntime.goexit\n\t/usr/local/go/src/runtime/asm_amd64.s:1700";
        assert_eq!(without(error), "mkdir wal: permission denied\nerror initialising module: ingester");
        for text in ["runtime.main", "\t/usr/local/go/src/runtime/proc.go:272", "github.com/x/y.(*Z).Run.func1"] {
            assert!(is_frame(text), "{text}");
        }
        for text in ["panic: runtime error: index out of range", "open /etc/x.yml: no such file", "exit status 1", ""] {
            assert!(!is_frame(text), "{text}");
            assert_eq!(without(text), text);
        }
    }
}
