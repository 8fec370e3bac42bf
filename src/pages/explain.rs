//! A page for reading.

/// The page for reading: templates shown as `<placeholders>`, markers of variants and conditions left out.
pub fn readable(body: &str) -> String {
    let mut out = String::new();
    for line in body.lines() {
        let mut line = line.to_owned();
        while let (Some(start), Some(end)) = (line.find("{%"), line.find("%}")) {
            if end < start {
                break;
            }
            line.replace_range(start..end + 2, "");
        }
        while let Some(start) = line.find("{{") {
            let Some(end) = line[start..].find("}}").map(|e| start + e) else { break };
            let expression = line[start + 2..end].trim().split(['|', ' ']).next().unwrap_or_default();
            let name = expression.rsplit('.').next().unwrap_or_default().replace('_', "-");
            line.replace_range(start..end + 2, &format!("<{name}>"));
        }
        if let Some(at) = line.starts_with('#').then(|| line.find("{#")).flatten() {
            line.truncate(at);
        }
        if let Some(info) = line.strip_prefix("```") {
            line = format!("```{}", info.split_whitespace().next().unwrap_or_default());
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
