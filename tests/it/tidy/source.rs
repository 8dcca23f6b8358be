//! The files of the house as the rules see them: Rust code apart from its comments, its
//! strings and its tests. A scan of the text is enough, since `cargo fmt` has set it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One text file of the repository.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments and what stands in quotes blanked; offsets and lines stay.
    pub code: String,
    /// The text with all but what stands in quotes blanked.
    pub quoted: String,
    /// Lines that belong to `#[cfg(test)]` items.
    pub test_lines: usize,
}

/// A function with a body.
pub struct Function<'a> {
    pub name: &'a str,
    /// From `fn` to the closing brace, as offsets.
    pub span: Range<usize>,
    pub lines: usize,
}

impl Source {
    /// Test items are blanked in `code` and `quoted`: no rule about code is about them.
    pub fn new(path: &str, text: &str) -> Self {
        let (mut code, mut quoted) = (text.to_owned(), String::new());
        let mut test_lines = 0;
        if path.ends_with(".rs") {
            (code, quoted) = split(text);
            const TEST: &str = "#[cfg(test)]";
            while let Some(start) = code.find(TEST) {
                let end = end_of_item(&code, start + TEST.len());
                test_lines += code[start..end].lines().count();
                code.replace_range(start..end, &spaces(&code[start..end]));
                quoted.replace_range(start..end, &spaces(&quoted[start..end]));
            }
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            quoted,
            test_lines,
        }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// A whole file of tests; `#[cfg(test)]` items within other files are blanked already.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// Code that is shipped.
    pub fn is_shipped(&self) -> bool {
        self.is_rust() && self.path.starts_with("src/") && !self.is_test()
    }

    /// The room under `src/` that this file belongs to.
    pub fn room(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let room = rest.split('/').next()?;
        Some(room.strip_suffix(".rs").unwrap_or(room))
    }

    /// A finding: where, what, and what to do.
    pub fn at(&self, offset: usize, what: impl std::fmt::Display) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }

    pub fn functions(&self) -> Vec<Function<'_>> {
        let code = &self.code;
        let named = words(code, "fn").filter_map(|at| {
            let rest = code[at..].strip_prefix("fn ")?;
            let name = &rest[..rest.find(|c: char| !is_word(c))?];
            let end = end_of_item(code, at);
            let lines = code[at..end].lines().count();
            let has_body = code[..end].ends_with('}');
            has_body.then_some(Function {
                name,
                span: at..end,
                lines,
            })
        });
        named.collect()
    }
}

/// Where `word` stands as a whole word in `text`.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every text file of the repository that `.gitignore` does not name.
pub fn repository() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).expect(".gitignore is there");
    let mut skipped: Vec<PathBuf> = vec![root.join(".git")];
    skipped.extend(
        ignored
            .lines()
            .map(|line| root.join(line.trim_matches('/'))),
    );
    let (mut sources, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if skipped.contains(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(root).expect("it is below the root");
                let name = name.to_string_lossy().replace('\\', "/");
                sources.push(Source::new(&name, &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 100, "the repository was not found");
    sources
}

/// The end of the item that begins at `start`: behind its body or its semicolon; of a field,
/// behind its comma.
pub fn end_of_item(code: &str, start: usize) -> usize {
    let (mut braces, mut brackets) = (0, 0);
    let keywords = ["fn", "mod", "impl", "struct", "enum", "use", "trait"];
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => braces += 1,
            '}' => braces -= 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            _ => {}
        }
        let ended = match c {
            '}' => braces == 0,
            ';' => braces == 0 && brackets == 0,
            ',' if braces == 0 && brackets == 0 => {
                let so_far = &code[start..start + at];
                !keywords
                    .iter()
                    .any(|word| words(so_far, word).next().is_some())
            }
            _ => false,
        };
        if braces < 0 {
            return start + at;
        }
        if ended {
            return start + at + 1;
        }
    }
    code.len()
}

/// The code without comments and quotes, and the quotes without the code.
fn split(text: &str) -> (String, String) {
    let (mut code, mut quoted) = (String::new(), String::new());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (end, is_quote) = match c {
            '/' if rest.starts_with("//") => (find(text, at, "\n"), false),
            '/' if rest.starts_with("/*") => (find(text, at, "*/"), false),
            '"' => (end_of_string(text, at + 1), true),
            'r' if rest[1..].trim_start_matches('#').starts_with('"') => {
                let hashes = rest[1..].find('"').unwrap_or(0);
                let close = format!("\"{}", "#".repeat(hashes));
                (find(text, at + 2 + hashes, &close), true)
            }
            '\'' => (end_of_char(text, at).unwrap_or(at), true),
            _ => (at, false),
        };
        let is_code = end == at;
        let end = end.max(at + c.len_utf8());
        let piece = &text[at..end];
        let spaces = spaces(piece);
        code.push_str(if is_code { piece } else { &spaces });
        quoted.push_str(if is_quote && !is_code { piece } else { &spaces });
        at = end;
    }
    (code, quoted)
}

/// Behind the next `what`.
fn find(text: &str, from: usize, what: &str) -> usize {
    text[from..]
        .find(what)
        .map_or(text.len(), |at| from + at + what.len())
}

fn end_of_string(text: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text[from..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return from + at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of a character in quotes; none for a lifetime.
fn end_of_char(text: &str, at: usize) -> Option<usize> {
    let mut chars = text[at + 1..].char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (skipped, _) = chars.nth(1)?;
        return Some(find(text, at + 1 + skipped, "'"));
    }
    let (second, quote) = chars.next()?;
    (quote == '\'').then_some(at + 1 + second + 1)
}

/// As many bytes of space, and the same ends of lines.
fn spaces(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}
