//! Addresses in a text as links that a terminal opens (OSC 8), also where their line was broken.

/// What no address holds.
const END: &[char] = &['"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', '|', '\\'];

/// The addresses in a page, outside of its commands.
pub fn addresses(page: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut is_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for (at, _) in line.match_indices("https://") {
            let rest = &line[at..];
            let end = rest.find(|c: char| c.is_whitespace() || END.contains(&c)).unwrap_or(rest.len());
            let address = rest[..end].trim_end_matches(['.', ',', ';', ':']);
            if address.len() > "https://".len() && !all.iter().any(|known| known == address) {
                all.push(address.to_owned());
            }
        }
    }
    // One may be the beginning of another.
    all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    all
}

/// The text as it was laid out, with each of the addresses as a link.
pub fn linked(shown: &str, addresses: &[String]) -> String {
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown;
    while let Some(at) = rest.find("https://") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match addresses.iter().find_map(|address| Some((address, extent(rest, address)?))) {
            Some((address, end)) => {
                out.push_str(&link(&rest[..end], address));
                rest = &rest[end..];
            }
            None => {
                out.push_str("https://");
                rest = &rest["https://".len()..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the address ends at the beginning of a text, over the ends of lines.
fn extent(text: &str, address: &str) -> Option<usize> {
    let mut left = address.chars().peekable();
    let mut is_new_line = false;
    for (at, letter) in text.char_indices() {
        let Some(wanted) = left.peek() else { return Some(at) };
        match letter {
            '\n' => is_new_line = true,
            ' ' if is_new_line => {}
            letter if letter == *wanted => {
                is_new_line = false;
                left.next();
            }
            _ => return None,
        }
    }
    left.peek().is_none().then_some(text.len())
}

/// Each of its lines is a link of its own.
fn link(shown: &str, address: &str) -> String {
    let part = |line: &str| {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        format!("{indent}\u{1b}]8;;{address}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\")
    };
    shown.split('\n').map(part).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_link_also_where_its_line_is_broken() {
        let page = "See [EKS](https://a.test/x), https://a.test/x/long.\n```sh\ncurl https://a.test/code\n```\n- https://b.test:";
        let all = addresses(page);
        assert_eq!(all, ["https://a.test/x/long", "https://a.test/x", "https://b.test"]);
        let open = |address: &str| format!("\u{1b}]8;;{address}\u{1b}\\");
        let close = open("");
        let shown = linked(
            "see https://a.test/x and https://a.te\n  st/x/long.\ncurl https://a.test/code https://c.test",
            &all,
        );
        let (first, second) = (open("https://a.test/x"), open("https://a.test/x/long"));
        let wanted = format!(
            "see {first}https://a.test/x{close} and {second}https://a.te{close}\n  {second}st/x/long{close}.\n\
             curl https://a.test/code https://c.test"
        );
        assert_eq!(shown, wanted);
    }
}
