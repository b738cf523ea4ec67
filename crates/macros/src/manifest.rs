//! The name that `Cargo.toml` gives to the library, if it is another one.
//!
//! The compiler's message for a path that does not resolve cannot name the option that is missing.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

const PACKAGE: &str = "llm-audit";

/// Returns the name if the package that is compiled knows the library only under another one.
pub(crate) fn other_name_of_library() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let dir = env::var_os("CARGO_MANIFEST_DIR")?;
        let manifest = fs::read_to_string(Path::new(&dir).join("Cargo.toml")).ok()?;
        // A workspace may name it: `audit.workspace = true`.
        let above = Path::new(&dir).ancestors().skip(1);
        let workspace = || {
            above.map(|dir| dir.join("Cargo.toml")).find_map(|path| fs::read_to_string(path).ok())
        };
        find_other_name(&manifest, || workspace().unwrap_or_default())
    };
    NAME.get_or_init(find).as_deref()
}

fn find_other_name(manifest: &str, workspace: impl FnOnce() -> String) -> Option<String> {
    let dependencies: Vec<_> = dependency_lines(manifest).collect();
    if dependencies.iter().any(|(name, line)| name == PACKAGE && !is_renamed(line)) {
        return None;
    }
    let renamed = dependencies.iter().find(|(_, line)| is_renamed(line));
    let of_workspace = || {
        let workspace = workspace();
        let (name, _) = dependency_lines(&workspace).find(|(_, line)| is_renamed(line))?;
        dependencies.iter().any(|(inherited, _)| *inherited == name).then_some(name)
    };
    renamed.map(|(name, _)| name.clone()).or_else(of_workspace)
}

/// Whether a line of a dependency says that it is the library's package.
fn is_renamed(line: &str) -> bool {
    let plain: String = line.chars().filter(|c| !c.is_whitespace() && *c != '\'').collect();
    let plain = plain.replace('"', "");
    plain
        .match_indices("package=")
        .any(|(at, found)| plain[at + found.len()..].split([',', '}', '#']).next() == Some(PACKAGE))
}

/// The lines of the tables of dependencies, each with the name of its dependency.
fn dependency_lines(manifest: &str) -> impl Iterator<Item = (String, &str)> {
    let mut table = String::new();
    manifest.lines().filter_map(move |line| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header.split(']').next().unwrap_or_default().replace(['"', '\''], "");
        }
        let (_, own) = table
            .rsplit_once("dependencies")
            .filter(|(before, _)| before.is_empty() || before.ends_with(['.', '-']))?;
        let key = line.split(['=', '.']).next().unwrap_or_default().trim();
        let name = own.strip_prefix('.').unwrap_or(key).trim_matches(['"', '\'']);
        (!name.is_empty() && !name.starts_with('[')).then(|| (name.to_owned(), line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_renamed_library_is_found() {
        let cases = [
            ("[dependencies]\nllm-audit = \"0.1\"", None),
            ("[dependencies]\nllm-audit = { path = \"..\" } # package = \"llm-audit\"", None),
            (
                "[dependencies]\naudit = { package = \"llm-audit\", version = \"0.1\" }",
                Some("audit"),
            ),
            ("[dependencies]\naudit={version='0.1',package='llm-audit'}", Some("audit")),
            ("[dev-dependencies.audit]\nversion = \"0.1\"\npackage = \"llm-audit\"", Some("audit")),
            ("[target.'cfg(unix)'.dependencies]\na_b = { package = \"llm-audit\" }", Some("a_b")),
            ("[dependencies]\nx = { package = \"llm-audit-log\" }", None),
            ("[dependencies]\nllm-audit = \"1\"\nold = { package = \"llm-audit\" }", None),
            (
                "[dependencies.llm-audit]\nversion = \"1\"\n[dependencies.old]\npackage = \"llm-audit\"",
                None,
            ),
            ("[package]\nname = \"llm-audit\"\n[dependencies]\nserde = \"1\"", None),
            ("[dependencies]\ntrace.workspace = true", Some("trace")),
            ("[dependencies]\ntrace = { workspace = true }", Some("trace")),
            ("[dependencies]\nserde.workspace = true", None),
            ("", None),
        ];
        let workspace = "[workspace.dependencies]\ntrace = { package = \"llm-audit\" }";
        for (manifest, expected) in cases {
            let found = find_other_name(manifest, || workspace.to_owned());
            assert_eq!(found.as_deref(), expected, "{manifest}");
        }
    }
}
