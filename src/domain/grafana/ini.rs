//! grafana.ini.

/// The value of a key in a section; the last one, where it is set several times.
pub(crate) fn value<'t>(text: &'t str, section: &str, key: &str) -> Option<&'t str> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            inside = name.trim_end_matches(']') == section;
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            found = Some(value.trim().trim_matches('"'));
        }
    }
    found
}

/// The keys of a section, as they are written.
pub(crate) fn keys<'t>(text: &'t str, section: &str) -> Vec<&'t str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            inside = name.trim_end_matches(']') == section;
        } else if inside && !line.starts_with([';', '#']) {
            found.extend(line.split_once('=').map(|(name, _)| name.trim()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_in_its_section() {
        let text =
            "[auth]\nroot_url = x\n[server]\nroot_url = https://a.example/grafana/\nserve_from_sub_path = true\n";
        assert_eq!(value(text, "server", "root_url"), Some("https://a.example/grafana/"));
        assert_eq!(value(text, "server", "serve_from_sub_path"), Some("true"));
        assert_eq!(value(text, "database", "type"), None);
        assert_eq!(keys(text, "server"), ["root_url", "serve_from_sub_path"]);
    }
}
