//! Lists that registries give: tags, referrers, and where a list goes on. Pure: bytes in, names out.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ARTIFACT, Digest, INDEX, MAX_DOCUMENT};

/// The address of the next page, as the header `Link` (RFC 8288) says it.
pub fn next(link: &str) -> Option<&str> {
    let mut rest = link;
    loop {
        let (address, after) = rest.split_once('<')?.1.split_once('>')?;
        // Parameters end where the next address begins.
        let parameters = after.split('<').next().unwrap_or(after);
        if parameters.split([';', ',']).any(is_next) && !address.is_empty() {
            return Some(address);
        }
        rest = after;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// The tags of one page.
///
/// # Errors
/// It is no list of tags.
pub fn tags(page: &[u8]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let page: Page = serde_json::from_slice(page).context("what should be a list of tags is none")?;
    Ok(page.tags.unwrap_or_default())
}

/// The artifacts with recordings in a list of referrers: one page of the API, or the fallback.
///
/// # Errors
/// It is no list.
pub fn artifacts(list: &[u8]) -> Result<BTreeSet<Digest>> {
    let list = parse(list)?;
    let ours = entries(&list).filter(|entry| entry["artifactType"] == ARTIFACT);
    Ok(ours.filter_map(digest).collect())
}

/// A fallback list with `new` entries added; `None` when it has all already. `list` is what the repository has, if it
/// has one.
///
/// # Errors
/// It has something else, or the list would be larger than registries take.
pub fn with(list: Option<&[u8]>, new: &[Value]) -> Result<Option<Vec<u8>>> {
    let mut list = match list {
        Some(list) => parse(list)?,
        None => json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
    };
    let known: BTreeSet<Digest> = entries(&list).filter_map(digest).collect();
    let new: Vec<_> =
        new.iter().filter(|entry| digest(entry).is_some_and(|digest| !known.contains(&digest))).collect();
    if new.is_empty() {
        return Ok(None);
    }
    if let Some(manifests) = list["manifests"].as_array_mut() {
        manifests.extend(new.into_iter().cloned());
    }
    let bytes = serde_json::to_vec(&list).context("cannot serialise the list of referrers")?;
    ensure!(bytes.len() as u64 <= MAX_DOCUMENT, "the list would be larger than registries take");
    Ok(Some(bytes))
}

/// A fallback list without these artifacts; `None` when it has none of them.
///
/// # Errors
/// It is no list.
pub fn without(list: &[u8], gone: &BTreeSet<Digest>) -> Result<Option<Vec<u8>>> {
    let mut list = parse(list)?;
    let before = entries(&list).count();
    if let Some(manifests) = list["manifests"].as_array_mut() {
        manifests.retain(|entry| digest(entry).is_none_or(|digest| !gone.contains(&digest)));
    }
    if entries(&list).count() == before {
        return Ok(None);
    }
    Ok(Some(serde_json::to_vec(&list).context("cannot serialise the list of referrers")?))
}

fn parse(list: &[u8]) -> Result<Value> {
    let list: Value =
        serde_json::from_slice(list).context("what should be a list of referrers is no JSON")?;
    let is_index = list.get("mediaType").is_none_or(|kind| kind == INDEX);
    ensure!(
        is_index && list.get("manifests").is_some_and(Value::is_array),
        "what should be a list of referrers is something else"
    );
    Ok(list)
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.get("manifests").and_then(Value::as_array).into_iter().flatten()
}

fn digest(entry: &Value) -> Option<Digest> {
    entry.get("digest")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str) -> Value {
        json!({ "mediaType": super::super::MANIFEST, "artifactType": ARTIFACT, "size": 1, "digest": Digest::of(name.as_bytes()) })
    }

    fn set(names: &[&str]) -> BTreeSet<Digest> {
        names.iter().map(|name| Digest::of(name.as_bytes())).collect()
    }

    #[test]
    fn pages_go_on_where_the_header_says() {
        for (link, address) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            ("<https://r.example/x?a=1,2>;rel=next", Some("https://r.example/x?a=1,2")),
            (r#"</first>; rel="first", </second>; title="a"; REL="prev next""#, Some("/second")),
            (r#"</first>; rel="first""#, None),
            (r#"<>; rel="next""#, None),
            ("</a", None),
            ("", None),
        ] {
            assert_eq!(next(link), address, "{link}");
        }
    }

    #[test]
    fn tags_of_a_page() {
        assert_eq!(tags(br#"{"name":"a","tags":["b","c"]}"#).unwrap(), ["b", "c"]);
        assert_eq!(tags(br#"{"name":"a","tags":null}"#).unwrap(), [""; 0]);
        assert!(tags(b"[]").is_err() && tags(br#"{"tags":[1]}"#).is_err());
    }

    #[test]
    fn a_list_keeps_what_others_put_there() {
        let signature = json!({ "digest": Digest::of(b"s"), "artifactType": "sig", "future": { "a": 1 } });
        let first = with(None, std::slice::from_ref(&signature)).unwrap().unwrap();
        let second = with(Some(&first), &[signature.clone(), entry("a")]).unwrap().unwrap();
        assert_eq!(with(Some(&second), &[entry("a")]).unwrap(), None);
        assert_eq!(artifacts(&second).unwrap(), set(&["a"]));
        let list: Value = serde_json::from_slice(&second).unwrap();
        assert_eq!(list["manifests"][0], signature);
        assert_eq!(without(&second, &set(&["b"])).unwrap(), None);
        assert_eq!(without(&second, &set(&["a"])).unwrap().unwrap(), first);
    }

    #[test]
    fn what_is_no_list_is_not_written_over() {
        let image = json!({ "schemaVersion": 2, "config": {}, "layers": [] }).to_string();
        let other = json!({ "mediaType": "x", "manifests": [] }).to_string();
        for none in ["", "null", "[]", "{}", &image, &other] {
            assert!(with(Some(none.as_bytes()), &[entry("a")]).is_err(), "{none}");
            assert!(artifacts(none.as_bytes()).is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_judged(bytes: Vec<u8>, text: String) {
            let _ = (tags(&bytes), artifacts(&bytes), with(Some(&bytes), &[entry("a")]));
            let _ = next(&text);
        }

        #[test]
        fn the_order_of_additions_does_not_show_in_what_is_found(names in proptest::collection::vec("[a-d]", 0..8)) {
            let add = |list: Option<Vec<u8>>, name: &String| {
                with(list.as_deref(), &[entry(name)]).unwrap().or(list)
            };
            let list = names.iter().fold(None, add);
            let found = list.map_or_else(BTreeSet::new, |list| artifacts(&list).unwrap());
            prop_assert_eq!(found, set(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
}
