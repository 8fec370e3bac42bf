//! Stacks of calls that Go's programs print behind an error.

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

#[cfg(test)]
mod tests {
    use super::*;

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
