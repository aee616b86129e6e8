//! Addresses of and from registries: plain HTTP is for this machine only, whatever a registry says.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::session::parsed;

/// Where the API of Docker Hub is; its images are named by another host.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// `scheme://host[:port]` of a registry.
pub fn base(registry: &str) -> String {
    let host = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let scheme = if is_local(host) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// An address that a registry named, which may be a path of its own.
///
/// # Errors
/// It is no address, or one in clear on another machine.
pub fn resolve(base: &str, location: &str) -> Result<String> {
    if location.starts_with('/') {
        return Ok(format!("{base}{location}"));
    }
    let uri = parsed(location)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // Behind a proxy, a registry may be wrong about its own scheme.
    if uri.authority().is_some_and(|authority| base.ends_with(&format!("//{authority}"))) {
        return Ok(format!("{base}{path}"));
    }
    ensure!(
        uri.scheme_str() == Some("https") || is_loopback(location),
        "the registry wants data to be sent to {location}, in clear: refused"
    );
    Ok(location.to_owned())
}

/// `scheme://host[:port]` of an address.
///
/// # Errors
/// It is none.
pub fn origin(url: &str) -> Result<String> {
    let uri = parsed(url)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}")),
        _ => bail!("{url:?} is no whole address"),
    }
}

/// Whether `url` is at `base`: credentials are sent nowhere else.
pub fn is_within(url: &str, base: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether `url` is on this machine.
pub fn is_loopback(url: &str) -> bool {
    parsed(url).ok().and_then(|uri| uri.host().map(is_local)).unwrap_or(false)
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let v4 = name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    v4 || name == "localhost" || host == "[::1]" || name == "[::1]"
}

/// Key and value pairs as in a form.
pub fn form(pairs: &BTreeMap<&str, &str>) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_clear() {
        for (registry, url) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("registry.example:5000", "https://registry.example:5000"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.8.0.1", "http://127.8.0.1"),
            ("localhost.example", "https://localhost.example"),
        ] {
            assert_eq!(base(registry), url);
        }
    }

    #[test]
    fn uploads_go_where_the_registry_says_but_never_in_clear() {
        let base = "https://r.example:5000";
        let resolve = |location| resolve(base, location);
        assert_eq!(resolve("/v2/x?_state=a").unwrap(), "https://r.example:5000/v2/x?_state=a");
        assert_eq!(resolve("http://r.example:5000/v2/x?a=b").unwrap(), "https://r.example:5000/v2/x?a=b");
        assert_eq!(resolve("https://s3.example/x").unwrap(), "https://s3.example/x");
        assert!(resolve("http://s3.example/x").unwrap_err().to_string().contains("in clear"));
        assert!(resolve("v2/x").is_err() && resolve("").is_err());
        assert!(is_within("https://r.example:5000/v2/", base));
        assert!(!is_within("https://r.example:50001/v2/", base) && !is_within("https://s3.example/x", base));
    }

    #[test]
    fn forms_are_encoded() {
        let pairs = BTreeMap::from([("scope", "repository:a/b:pull,push"), ("service", "é")]);
        assert_eq!(form(&pairs), "scope=repository%3Aa%2Fb%3Apull%2Cpush&service=%C3%A9");
    }

    proptest! {
        #[test]
        fn any_location_is_judged(location: String) {
            let _ = resolve("https://r.example", &location);
        }
    }
}
