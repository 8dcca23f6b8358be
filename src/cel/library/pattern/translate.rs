//! A pattern as Go reads it → a pattern that Rust's engine reads alike. Part of the CEL
//! engine; what cannot be said in both is refused.

type Step<T> = Result<T, String>;

/// The same pattern for the other engine, or what is not supported in it.
pub(super) fn translated(text: &str) -> Step<String> {
    let translator = Translator {
        rest: text.chars().peekable(),
        out: String::with_capacity(text.len() + 16),
    };
    translator.run()
}

/// Writes a pattern of Go's for Rust's engine.
struct Translator<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    out: String,
}

impl Translator<'_> {
    fn run(mut self) -> Step<String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.repeat()?,
                '}' | ']' => self.literal(c),
                // Rust's engine has a meaning for these only in modes that are refused.
                other => self.out.push(other),
            }
        }
        Ok(self.out)
    }

    /// One character that means itself.
    fn literal(&mut self, c: char) {
        self.out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }

    fn escape(&mut self) -> Step<()> {
        match self.next("\\")? {
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            's' => self.out.push_str("[\\t\\n\\f\\r ]"),
            'S' => self.out.push_str("[^\\t\\n\\f\\r ]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'b' => self.out.push_str("(?-u:\\b)"),
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            c @ ('p' | 'P') => self.property(c)?,
            'Q' => self.quoted(),
            other => {
                let c = self.character(other)?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// What stands after a backslash and means one character.
    fn character(&mut self, c: char) -> Step<char> {
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\u{b}',
            'x' => self.hexadecimal()?,
            c if c.is_ascii_punctuation() => c,
            other => return Err(format!("\\{other} is not supported in regular expressions")),
        })
    }

    fn hexadecimal(&mut self) -> Step<char> {
        let wrong = || "\\x needs two hexadecimal digits, or some in braces".to_owned();
        let mut digits = String::new();
        if self.rest.next_if_eq(&'{').is_some() {
            loop {
                match self.next("\\x{")? {
                    '}' => break,
                    digit => digits.push(digit),
                }
            }
        } else {
            digits.extend(self.rest.next());
            digits.extend(self.rest.next());
            if digits.len() != 2 {
                return Err(wrong());
            }
        }
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u32::from_str_radix(&digits, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(wrong)
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn property(&mut self, c: char) -> Step<()> {
        let negated = c == 'P';
        let first = self.next("\\p")?;
        let mut name = String::new();
        if first == '{' {
            loop {
                match self.next("\\p{")? {
                    '}' => break,
                    letter => name.push(letter),
                }
            }
        } else {
            name.push(first);
        }
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (!negated, name),
            None => (negated, &*name),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic() || c == '_') {
            return Err(format!("\\{c}{{{name}}} is not a class of characters"));
        }
        let letter = if negated { 'P' } else { 'p' };
        self.out.push_str(&format!("\\{letter}{{{name}}}"));
        Ok(())
    }

    /// `\Q…\E`: all of it means itself.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// `(`, `(?:`, `(?P<name>`, `(?<name>`, `(?i)`, `(?i:`.
    fn group(&mut self) -> Step<()> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let mut first = true;
        loop {
            let c = self.next("(?")?;
            match c {
                'P' | '<' if first => {
                    self.out.push(c);
                    if c == '<' && matches!(self.rest.peek(), Some('=' | '!')) {
                        break;
                    }
                    return Ok(());
                }
                'i' | 'm' | 's' | 'U' | '-' => self.out.push(c),
                ':' | ')' => {
                    self.out.push(c);
                    return Ok(());
                }
                _ => break,
            }
            first = false;
        }
        Err("(? here begins nothing that is supported in regular expressions".to_owned())
    }

    /// `{2}`, `{2,}`, `{2,5}`; anything else means itself.
    fn repeat(&mut self) -> Step<()> {
        let mut ahead = self.rest.clone();
        let inside: String = ahead.by_ref().take_while(|c| *c != '}').take(12).collect();
        let number = |text: &str| -> Option<u32> {
            let fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            fine.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let (least, most) = match inside.split_once(',') {
            None => (number(&inside), Some(0)),
            Some((least, "")) => (number(least), Some(0)),
            Some((least, most)) => (number(least), number(most)),
        };
        let closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        match (least, most) {
            (Some(least), Some(most)) if closed => {
                if least > 1000 || most > 1000 {
                    return Err("a regular expression may repeat 1000 times at most".to_owned());
                }
                self.out.push_str(&format!("{{{inside}}}"));
                for _ in 0..=inside.chars().count() {
                    self.rest.next();
                }
            }
            _ => self.literal('{'),
        }
        Ok(())
    }

    fn class(&mut self) -> Step<()> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.next("[")?;
            if c == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if c == '[' && self.rest.peek() == Some(&':') {
                self.posix()?;
                continue;
            }
            if c == '\\' && self.class_escape()? {
                continue;
            }
            let low = if c == '\\' {
                let c = self.next("\\")?;
                self.character(c)?
            } else {
                c
            };
            self.range(low)?;
        }
    }

    /// Writes what stands for several characters; says whether there was such a thing.
    fn class_escape(&mut self) -> Step<bool> {
        let Some(&c) = self.rest.peek() else {
            return Ok(false);
        };
        match c {
            'd' => self.out.push_str("0-9"),
            'D' => self.out.push_str("[^0-9]"),
            's' => self.out.push_str("\\t\\n\\f\\r\\x20"),
            'S' => self.out.push_str("[^\\t\\n\\f\\r\\x20]"),
            'w' => self.out.push_str("0-9A-Za-z_"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'p' | 'P' => {
                self.rest.next();
                self.property(c)?;
                return Ok(true);
            }
            _ => return Ok(false),
        }
        self.rest.next();
        Ok(true)
    }

    /// A character of a class, or a range that begins with it.
    fn range(&mut self, low: char) -> Step<()> {
        self.literal(low);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), None | Some(']')) {
            return Ok(());
        }
        self.rest.next();
        let high = match self.next("-")? {
            '\\' => {
                let c = self.next("\\")?;
                self.character(c)?
            }
            c => c,
        };
        if high < low {
            return Err(format!(
                "the range {low}-{high} of a regular expression is empty"
            ));
        }
        self.out.push('-');
        self.literal(high);
        Ok(())
    }

    /// `[:alpha:]`.
    fn posix(&mut self) -> Step<()> {
        let mut name = String::new();
        self.rest.next();
        loop {
            match self.next("[:")? {
                ':' => break,
                letter => name.push(letter),
            }
        }
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.trim_start_matches('^')) || self.rest.next() != Some(']') {
            return Err(format!("[:{name}:] is not a class of characters"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        Ok(())
    }

    fn next(&mut self, after: &str) -> Step<char> {
        self.rest
            .next()
            .ok_or_else(|| format!("the regular expression ends after {after}"))
    }
}
