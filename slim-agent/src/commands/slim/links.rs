//! Links in an HTML page: the values of `href` and `src`, read without any claim to the whole of HTML. The page is made
//! by someone else: whatever its bytes are, reading them takes time in proportion to their number.

use std::collections::BTreeSet;

use url::{Position, Url};

/// Where the pages of `page` are that lie on its own host: paths with their queries, in order, each once.
pub fn on_same_host(page: &Url, html: &[u8]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let paths = links(html).into_iter().filter_map(|link| path_on_same_host(page, &link));
    paths.filter(|path| known.insert(path.clone())).collect()
}

/// The path and the query that `link`, seen on `page`, leads to; `None` when that is another host, or no page.
pub fn path_on_same_host(page: &Url, link: &str) -> Option<String> {
    let target = page.join(link.trim()).ok()?;
    let same = target.scheme() == page.scheme() && target.origin() == page.origin();
    same.then(|| target[Position::BeforePath..Position::AfterQuery].to_owned())
}

fn links(html: &[u8]) -> Vec<String> {
    let mut text = Text { rest: html };
    let mut found = Vec::new();
    while text.skip_past(b'<') {
        if text.rest.starts_with(b"!--") {
            text.skip_past_all(b"-->");
            continue;
        }
        let name = text.word();
        while let Some((attribute, value)) = text.attribute() {
            let leads = ["href", "src"].iter().any(|name| attribute.eq_ignore_ascii_case(name.as_bytes()));
            if let Some(value) = value.filter(|value| leads && !value.is_empty()) {
                found.push(unescaped(value));
            }
        }
        if [&b"script"[..], b"style"].iter().any(|raw| name.eq_ignore_ascii_case(raw)) {
            // What is in there is not HTML; its own end tag is the only one that counts.
            text.skip_past_all(b"</");
        }
    }
    found
}

/// What is left to read of a page.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    fn skip_past(&mut self, byte: u8) -> bool {
        let found = self.rest.iter().position(|&found| found == byte);
        self.rest = found.and_then(|at| self.rest.get(at + 1..)).unwrap_or_default();
        found.is_some()
    }

    fn skip_past_all(&mut self, bytes: &[u8]) {
        let found = self.rest.windows(bytes.len()).position(|found| found == bytes);
        self.rest = found.and_then(|at| self.rest.get(at + bytes.len()..)).unwrap_or_default();
    }

    /// Takes bytes as long as they are `good`.
    fn take(&mut self, good: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !good(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> &'a [u8] {
        self.take(|byte| !byte.is_ascii_whitespace() && !b"=>/<".contains(&byte))
    }

    fn space(&mut self) {
        self.take(|byte| byte.is_ascii_whitespace() || byte == b'/');
    }

    /// The next attribute of the tag with its value; `None` at the tag's end.
    fn attribute(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        self.space();
        match self.rest.first()? {
            b'>' | b'<' => return None,
            b'=' => self.rest = &self.rest[1..],
            _ => {}
        }
        let name = self.word();
        self.take(|byte| byte.is_ascii_whitespace());
        let Some(after) = self.rest.strip_prefix(b"=") else { return Some((name, None)) };
        self.rest = after;
        self.take(|byte| byte.is_ascii_whitespace());
        Some((name, Some(self.value())))
    }

    fn value(&mut self) -> &'a [u8] {
        let Some((&quote @ (b'"' | b'\''), after)) = self.rest.split_first() else {
            return self.take(|byte| !byte.is_ascii_whitespace() && byte != b'>');
        };
        self.rest = after;
        let value = self.take(|byte| byte != quote);
        self.rest = self.rest.get(1..).unwrap_or_default();
        value
    }
}

/// The few references that addresses are written with.
fn unescaped(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).into_owned();
    let known = [("&quot;", "\""), ("&#39;", "'"), ("&#38;", "&"), ("&#x26;", "&"), ("&amp;", "&")];
    known.iter().fold(text, |text, (reference, meant)| text.replace(reference, meant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(html: &str) -> Vec<String> {
        on_same_host(&Url::parse("http://localhost:8080/docs/a.html").unwrap(), html.as_bytes())
    }

    #[test]
    fn links_of_every_spelling() {
        let html = r#"<!doctype html><A HREF = "/one"><img alt="" src='two.png'/><a href=three?a=1&amp;b=2>
            <link rel=stylesheet href="../four.css#top"><script src="/five.js"></script><a name=x href>"#;
        assert_eq!(of(html), ["/one", "/docs/two.png", "/docs/three?a=1&b=2", "/four.css", "/five.js"]);
    }

    #[test]
    fn what_is_no_page_of_this_host_is_left_out() {
        let html = r##"<a href="http://other/x"><a href="//localhost/y"><a href="mailto:a@b"><a href="javascript:f()">
            <a href="data:,x"><a href="https://localhost:8080/z"><!-- <a href="/hidden"> --><a href="">
            <script>document.write('<a href="/written">')</script>"##;
        assert_eq!(of(html), [""; 0]);
        assert_eq!(
            of(r##"<a href="http://localhost:8080/whole"><a href="#top">"##),
            ["/whole", "/docs/a.html"]
        );
    }

    #[test]
    fn each_link_counts_once_and_in_order() {
        assert_eq!(of("<a href=/b><a href=/a><a href=/b#x>"), ["/b", "/a"]);
    }

    proptest! {
        #[test]
        fn any_page_is_read(html: Vec<u8>, tags in "[<>a-z=\"' /!-]{0,200}") {
            let page = Url::parse("http://localhost/").unwrap();
            for path in on_same_host(&page, &html).into_iter().chain(on_same_host(&page, tags.as_bytes())) {
                prop_assert!(path.starts_with('/'), "{}", path);
            }
        }
    }
}
