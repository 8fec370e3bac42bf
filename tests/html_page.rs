//! The page in a browser, where one is installed: its script runs, it loads nothing, and the filter hides what does not match.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::kdoctor;

/// A Chromium by one of its names; the test says so where there is none.
#[expect(clippy::print_stderr, reason = "who runs the tests is told what was skipped")]
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |dir| dir.join(name))).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no Chromium in $PATH to look at the page with");
    }
    found
}

/// The page after its script ran, and what the browser complained of.
fn shown(browser: &Path, page: &Path, profile: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--timeout=20000", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said: Vec<String> =
        text(&output.stderr).lines().filter(|l| l.contains("CONSOLE")).map(ToOwned::to_owned).collect();
    (text(&output.stdout), said.join("\n"))
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let mut command = kdoctor();
    command.args(["monitoring", "--demo", "-o"]).arg(format!("html={}", page.display()));
    assert_eq!(command.output().expect("kdoctor runs").status.code(), Some(1));
    let (dom, said) = shown(&browser, &page, folder.path());
    assert_eq!(said, "", "nothing is refused, nothing fails");
    for expected in ["<svg", "ebs-csi-addon-missing", "class=\"copy\"", "id=\"find\""] {
        assert!(dom.contains(expected), "{expected} is not in the page");
    }
    assert!(!dom.contains("class=\"copy\" hidden"), "the script shows the buttons");
    // The filter, as a person types into it. The page's policy refuses other scripts, so the copy goes without it.
    let text = std::fs::read_to_string(&page).expect("written");
    let (before, rest) = text.split_once("<meta http-equiv=\"Content-Security-Policy\"").expect("it has a policy");
    let (_, rest) = rest.split_once('>').expect("the tag ends");
    let typed = "<script>find.value = 'no such word'; find.dispatchEvent(new Event('input'));\
        document.title = [...document.querySelectorAll('.searched')].every(p => getComputedStyle(p).display === 'none') ? 'all gone' : 'some left';</script>";
    let copy = folder.path().join("copy.html");
    std::fs::write(&copy, format!("{before}{}", rest.replacen("</body>", &format!("{typed}</body>"), 1)))
        .expect("writable");
    let (dom, said) = shown(&browser, &copy, folder.path());
    assert!(dom.contains("<title>all gone</title>"), "{said}\n{}", &dom[..dom.len().min(600)]);
}
