//! Where in a tree of files the bundle begins.

/// The header of a bundle.
pub(super) const HEADER: &str = "kdoctor.json";

/// The folder that holds `kdoctor.json`, with the slash at its end: empty where it lies at the top, or nowhere.
///
/// # Errors
/// Several folders hold one.
pub(super) fn top<'a>(names: impl Iterator<Item = &'a String>) -> Result<String, String> {
    let of_header = |name: &'a String| name.strip_suffix(HEADER).filter(|top| top.is_empty() || top.ends_with('/'));
    let mut tops: Vec<&str> = names.filter_map(of_header).collect();
    // Nearest to the top first: a bundle's manifests may hold another one's header.
    tops.sort_by_key(|top| (top.matches('/').count(), top.len(), *top));
    match tops.as_slice() {
        [] => Ok(String::new()),
        [first, second, ..] if first.matches('/').count() == second.matches('/').count() => {
            Err(format!("it holds several bundles ({first}, {second}): give one of them"))
        }
        [first, ..] => Ok((*first).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_header_is_the_top() {
        let of = |names: &[&str]| top(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>().iter());
        assert_eq!(of(&["a/kdoctor.json", "a/manifests/kdoctor.json"]).as_deref(), Ok("a/"));
        assert_eq!(of(&["kdoctor.json", "a/kdoctor.json"]).as_deref(), Ok(""));
        assert_eq!(of(&["x.json", "my-kdoctor.json"]).as_deref(), Ok(""));
        assert!(of(&["a/kdoctor.json", "b/kdoctor.json"]).is_err());
    }
}
