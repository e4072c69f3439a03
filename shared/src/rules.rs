// SPDX-License-Identifier: Apache-2.0
//! Which configuration applies to a request: the rules that the gateway sends under `_rules_`.
//!
//! The semantics are those of the Go SDK's rule matcher (higress-group/wasm-go, pkg/matcher/rule_matcher.go),
//! with two differences, both stricter: a mistake in the global configuration is an error even beside good
//! rules, and a condition that is no list of texts is an error.

use crate::ConfigError;
use crate::json::{self, Json, Object, take};

const RULES: &str = "_rules_";
const PLUGIN_ID: &str = "_plugin_id_";
const ROUTE: &str = "_match_route_";
const DOMAIN: &str = "_match_domain_";
const SERVICE: &str = "_match_service_";
const ROUTE_PREFIX: &str = "_match_route_prefix_";
const CONSUMER: &str = "_match_consumer_";
const NO_CONDITION: &str =
    "has no condition; it needs one of _match_route_, _match_domain_, _match_service_, _match_route_prefix_";

/// What a rule may ask about a request. Each is asked at most when a rule needs it.
pub(crate) trait RequestFacts {
    /// The `:authority`; `None` if the request has none.
    fn authority(&self) -> Option<Vec<u8>>;
    /// The route's name; empty if there is none.
    fn route_name(&self) -> Vec<u8>;
    /// The name of the upstream cluster; empty if there is none.
    fn cluster_name(&self) -> Vec<u8>;
    /// The consumer that an authentication plugin found; empty if there is none.
    fn consumer(&self) -> Vec<u8>;
}

/// A plugin's configurations: the global one, and one for each rule, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Rules<C> {
    global: Option<C>,
    rules: Vec<(Condition, C)>,
}

impl<C> Rules<C> {
    /// Reads the JSON that the gateway sends; no bytes at all are an empty configuration. `parse` makes a
    /// configuration of a JSON object without the gateway's own keys; with `inherit` a rule's object has
    /// the keys of the global one that it does not have itself.
    pub(crate) fn from_json(
        json: &[u8],
        inherit: bool,
        parse: impl Fn(&Json) -> Result<C, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut global = json::parse(json)?;
        take(&mut global, PLUGIN_ID);
        let is_empty = global.is_empty();
        let list = match take(&mut global, RULES) {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::Array(rules)) => rules,
            Some(rule) => vec![rule],
        };
        let is_global = is_empty || !global.is_empty();
        if !is_global && list.is_empty() {
            return Err(ConfigError::new(RULES, "has no rule, and there is no global configuration"));
        }
        let inherited = if inherit { global.clone() } else { Object::new() };
        let global = if is_global { Some(parse(&Json::Object(global))?) } else { None };
        let mut rules = Vec::with_capacity(list.len());
        for (index, rule) in list.into_iter().enumerate() {
            let rule = read_rule(rule, &inherited, &parse);
            rules.push(rule.map_err(|error| error.inside(&format!("{RULES}[{index}]")))?);
        }
        Ok(Rules { global, rules })
    }

    /// The configuration for a request: that of the first rule that matches, else the global one. `None`
    /// if there is none of both, or if a rule asks for the authority of a request that has none.
    pub(crate) fn find(&self, request: &impl RequestFacts) -> Option<&C> {
        for (condition, config) in &self.rules {
            if condition.matches(request)? {
                return Some(config);
            }
        }
        self.global.as_ref()
    }
}

fn read_rule<C>(
    rule: Json,
    inherited: &Object,
    parse: impl Fn(&Json) -> Result<C, ConfigError>,
) -> Result<(Condition, C), ConfigError> {
    let Json::Object(mut rule) = rule else {
        return Err(ConfigError::new("", "must be an object"));
    };
    let condition = Condition::read(&mut rule)?;
    rule.retain(|(_, value)| *value != Json::Null); // absent, so inherited
    for entry in inherited {
        if rule.iter().all(|(key, _)| *key != entry.0) {
            rule.push(entry.clone());
        }
    }
    Ok((condition, parse(&Json::Object(rule))?))
}

/// When a rule applies. Routes come before domains, domains before services, services before prefixes: what
/// comes after in a rule that has several is ignored, but a service beside a route must match too.
#[derive(Debug)]
enum Condition {
    Route(Vec<String>),
    RouteAndService(Vec<String>, Vec<String>),
    Domain(Vec<Domain>),
    Service(Vec<String>),
    RoutePrefix(Vec<String>),
    RoutePrefixAndConsumer(Vec<String>, Vec<String>),
}

impl Condition {
    /// Takes the condition's keys out of `rule`.
    fn read(rule: &mut Object) -> Result<Self, ConfigError> {
        let routes = take_names(rule, ROUTE)?;
        let domains = take_texts(rule, DOMAIN)?;
        let services = take_names(rule, SERVICE)?;
        let prefixes = take_names(rule, ROUTE_PREFIX)?;
        let consumers = take_names(rule, CONSUMER)?;
        Ok(if !routes.is_empty() {
            if services.is_empty() { Condition::Route(routes) } else { Condition::RouteAndService(routes, services) }
        } else if !domains.is_empty() {
            Condition::Domain(domains.into_iter().map(Domain::new).collect())
        } else if !services.is_empty() {
            Condition::Service(services)
        } else if !prefixes.is_empty() {
            if consumers.is_empty() {
                Condition::RoutePrefix(prefixes)
            } else {
                Condition::RoutePrefixAndConsumer(prefixes, consumers)
            }
        } else {
            return Err(ConfigError::new("", NO_CONDITION));
        })
    }

    /// `None` if it asks for an authority and the request has none.
    fn matches(&self, request: &impl RequestFacts) -> Option<bool> {
        Some(match self {
            Condition::Route(routes) => contains(routes, &request.route_name()),
            Condition::RouteAndService(routes, services) => {
                contains(routes, &request.route_name()) && is_service(services, &request.cluster_name())
            }
            Condition::Domain(domains) => {
                let authority = request.authority()?;
                let host = without_port(&authority);
                domains.iter().any(|domain| domain.matches(host))
            }
            Condition::Service(services) => is_service(services, &request.cluster_name()),
            Condition::RoutePrefix(prefixes) => starts_with_any(prefixes, &request.route_name()),
            Condition::RoutePrefixAndConsumer(prefixes, consumers) => {
                starts_with_any(prefixes, &request.route_name()) && contains(consumers, &request.consumer())
            }
        })
    }
}

/// Takes the texts of a condition that are not empty.
fn take_names(rule: &mut Object, key: &str) -> Result<Vec<String>, ConfigError> {
    let mut texts = take_texts(rule, key)?;
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// Takes the texts of a condition: a list, or a single one; numbers and booleans are taken as written.
fn take_texts(rule: &mut Object, key: &str) -> Result<Vec<String>, ConfigError> {
    let items = match take(rule, key) {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items,
        Some(scalar) => vec![scalar],
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        texts.push(match item {
            Json::Null => String::new(),
            Json::String(text) => text,
            Json::Bool(value) => value.to_string(),
            Json::Integer(number) => number.to_string(),
            Json::Float(_) | Json::Array(_) | Json::Object(_) => {
                return Err(ConfigError::new(key, "must be a list of strings"));
            }
        });
    }
    Ok(texts)
}

#[derive(Debug)]
enum Domain {
    Exact(String),
    Prefix(String),
    Suffix(String),
}

impl Domain {
    fn new(domain: String) -> Self {
        if let Some(suffix) = domain.strip_prefix('*') {
            Domain::Suffix(suffix.to_string())
        } else if let Some(prefix) = domain.strip_suffix('*') {
            Domain::Prefix(prefix.to_string())
        } else {
            Domain::Exact(domain)
        }
    }

    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Domain::Exact(domain) => host == domain.as_bytes(),
            Domain::Prefix(prefix) => host.starts_with(prefix.as_bytes()),
            Domain::Suffix(suffix) => host.ends_with(suffix.as_bytes()),
        }
    }
}

/// The host without its port; an IPv6 address is always in brackets (RFC 3986, section 3.2.2), so a colon
/// before the closing one is no port. (Envoy's `HeaderUtility::stripPortFromHost`.)
fn without_port(authority: &[u8]) -> &[u8] {
    let last = |byte| authority.iter().rposition(|&b| b == byte);
    match (last(b':'), last(b']')) {
        (Some(colon), bracket) if bracket.is_none_or(|bracket| bracket < colon) => {
            authority.get(..colon).unwrap_or(authority)
        }
        _ => authority,
    }
}

/// Whether the cluster `outbound|{port}|{subset}|{fqdn}` is one of the services, each `fqdn` or `fqdn:port`.
fn is_service(services: &[String], cluster: &[u8]) -> bool {
    let mut parts = cluster.split(|&b| b == b'|');
    let (Some(_), Some(port), Some(_), Some(fqdn), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    services.iter().any(|service| {
        let with_port = service.rsplit_once(':');
        service.as_bytes() == fqdn
            || with_port.is_some_and(|(name, its_port)| name.as_bytes() == fqdn && its_port.as_bytes() == port)
    })
}

fn contains(texts: &[String], wanted: &[u8]) -> bool {
    texts.iter().any(|text| text.as_bytes() == wanted)
}

fn starts_with_any(prefixes: &[String], text: &[u8]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request as the gateway shows it.
    #[derive(Clone, Copy)]
    struct Request {
        authority: Option<&'static [u8]>,
        route: &'static str,
        cluster: &'static str,
        consumer: &'static str,
    }

    const REQUEST: Request = Request {
        authority: Some(b"www.example.com"),
        route: "ns/route",
        cluster: "outbound|80|v1|svc.ns.svc.cluster.local",
        consumer: "alice",
    };

    impl RequestFacts for Request {
        fn authority(&self) -> Option<Vec<u8>> {
            self.authority.map(<[u8]>::to_vec)
        }

        fn route_name(&self) -> Vec<u8> {
            self.route.into()
        }

        fn cluster_name(&self) -> Vec<u8> {
            self.cluster.into()
        }

        fn consumer(&self) -> Vec<u8> {
            self.consumer.into()
        }
    }

    /// Fails on every question: for rules that must not ask it.
    struct NoFacts;

    impl RequestFacts for NoFacts {
        fn authority(&self) -> Option<Vec<u8>> {
            panic!("asked for the authority")
        }

        fn route_name(&self) -> Vec<u8> {
            panic!("asked for the route")
        }

        fn cluster_name(&self) -> Vec<u8> {
            panic!("asked for the cluster")
        }

        fn consumer(&self) -> Vec<u8> {
            panic!("asked for the consumer")
        }
    }

    /// The configuration of a test is one key, `is`; every other is a mistake.
    fn parse_is(config: &Json) -> Result<String, ConfigError> {
        match config {
            Json::Object(object) => match object.as_slice() {
                [] => Ok("empty".to_string()),
                [(key, Json::String(value))] if key == "is" => Ok(value.clone()),
                [(key, _), ..] => Err(ConfigError::new(key, "is a mistake")),
            },
            other => panic!("{other:?} is no object"),
        }
    }

    fn rules(json: &str) -> Result<Rules<String>, String> {
        Rules::from_json(json.as_bytes(), false, parse_is).map_err(|error| error.to_string())
    }

    fn find(json: &str, request: Request) -> Option<String> {
        rules(json).unwrap().find(&request).cloned()
    }

    /// The configuration of one rule with this condition, for this request.
    fn rule_matches(condition: &str, request: Request) -> bool {
        find(&format!(r#"{{"_rules_": [{{{condition}, "is": "rule"}}]}}"#), request).is_some()
    }

    fn domain_matches(domain: &str, authority: &'static str) -> bool {
        let request = Request { authority: Some(authority.as_bytes()), ..REQUEST };
        rule_matches(&format!(r#""_match_domain_": ["{domain}"]"#), request)
    }

    fn service_matches(service: &str, cluster: &'static str) -> bool {
        rule_matches(&format!(r#""_match_service_": ["{service}"]"#), Request { cluster, ..REQUEST })
    }

    fn error(json: &str) -> String {
        rules(json).unwrap_err()
    }

    // Which configuration applies.

    #[test]
    fn an_empty_configuration_applies_everywhere() {
        for json in ["", "{}", r#"{"_plugin_id_": "x"}"#] {
            assert_eq!(find(json, REQUEST).as_deref(), Some("empty"), "{json}");
        }
    }

    #[test]
    fn a_configuration_without_rules_applies_everywhere_and_asks_nothing() {
        assert_eq!(rules(r#"{"is": "global"}"#).unwrap().find(&NoFacts).unwrap(), "global");
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let json = r#"{"is": "global", "_rules_": [
            {"_match_route_": ["other"], "is": "first"},
            {"_match_domain_": ["*"], "is": "second"},
            {"_match_domain_": ["www.example.com"], "is": "third"},
            {"_match_route_": ["ns/route"], "is": "fourth"}]}"#;
        assert_eq!(find(json, REQUEST).as_deref(), Some("second"));
    }

    #[test]
    fn without_a_match_the_global_configuration_applies() {
        let json = r#"{"is": "global", "_rules_": [{"_match_route_": ["other"], "is": "rule"}]}"#;
        assert_eq!(find(json, REQUEST).as_deref(), Some("global"));
    }

    #[test]
    fn without_a_match_and_a_global_configuration_none_applies() {
        assert_eq!(find(r#"{"_rules_": [{"_match_route_": ["other"], "is": "rule"}]}"#, REQUEST), None);
    }

    #[test]
    fn a_plugin_id_alone_is_no_global_configuration() {
        let json = r#"{"_plugin_id_": "x", "_rules_": [{"_match_route_": ["other"], "is": "rule"}]}"#;
        assert_eq!(find(json, REQUEST), None);
    }

    #[test]
    fn a_rule_does_not_inherit_unless_the_plugin_says_so() {
        let json = br#"{"is": "global", "_rules_": [
            {"_match_route_": ["ns/route"]}, {"_match_route_": ["own"], "is": "own"}]}"#;
        for (inherit, expected) in [(false, "empty"), (true, "global")] {
            let rules = Rules::from_json(json, inherit, parse_is).unwrap();
            assert_eq!(rules.find(&REQUEST).unwrap(), expected);
            assert_eq!(rules.find(&Request { route: "own", ..REQUEST }).unwrap(), "own");
        }
    }

    #[test]
    fn a_key_with_nothing_behind_it_is_inherited() {
        let json = br#"{"is": "global", "_rules_": [{"_match_route_": ["ns/route"], "is": null}]}"#;
        let rules = Rules::from_json(json, true, parse_is).unwrap();
        assert_eq!(rules.find(&REQUEST).unwrap(), "global");
    }

    // The category of a rule.

    #[test]
    fn a_route_makes_the_domain_ignored() {
        assert!(rule_matches(r#""_match_route_": ["ns/route"], "_match_domain_": ["other"]"#, REQUEST));
    }

    #[test]
    fn a_domain_makes_the_service_ignored() {
        let condition = r#""_match_domain_": ["www.example.com"], "_match_service_": ["other"]"#;
        assert!(rule_matches(condition, REQUEST));
    }

    #[test]
    fn beside_anything_else_a_prefix_is_ignored() {
        for other in
            [r#""_match_route_": ["other"]"#, r#""_match_domain_": ["other"]"#, r#""_match_service_": ["other"]"#]
        {
            assert!(!rule_matches(&format!(r#"{other}, "_match_route_prefix_": ["ns/"]"#), REQUEST));
        }
    }

    #[test]
    fn a_route_and_a_service_must_both_match() {
        let condition = |route, service| format!(r#""_match_route_": ["{route}"], "_match_service_": ["{service}"]"#);
        let service = "svc.ns.svc.cluster.local";
        assert!(rule_matches(&condition("ns/route", service), REQUEST));
        assert!(!rule_matches(&condition("ns/route", "other"), REQUEST));
        assert!(!rule_matches(&condition("other", service), REQUEST));
    }

    #[test]
    fn a_prefix_may_be_narrowed_to_consumers() {
        let condition = r#""_match_route_prefix_": ["ns/"], "_match_consumer_": ["alice", "bob"]"#;
        assert!(rule_matches(condition, REQUEST));
        assert!(!rule_matches(condition, Request { consumer: "", ..REQUEST }));
        assert!(!rule_matches(condition, Request { route: "x", ..REQUEST }));
    }

    // Lists.

    #[test]
    fn one_of_a_list_is_enough() {
        assert!(rule_matches(r#""_match_route_": ["a", "ns/route", "b"]"#, REQUEST));
    }

    #[test]
    fn a_scalar_is_a_list_of_one() {
        assert!(rule_matches(r#""_match_route_": "ns/route""#, REQUEST));
    }

    #[test]
    fn numbers_and_booleans_are_taken_as_texts() {
        for (item, route) in [("8080.0", "8080"), ("true", "true")] {
            assert!(rule_matches(&format!(r#""_match_route_": [{item}]"#), Request { route, ..REQUEST }));
        }
    }

    #[test]
    fn an_empty_text_is_dropped_but_for_a_domain() {
        assert!(rule_matches(r#""_match_domain_": [""]"#, Request { authority: Some(b""), ..REQUEST }));
        for key in ["_match_route_", "_match_service_", "_match_route_prefix_"] {
            let error = error(&format!(r#"{{"_rules_": [{{"{key}": [""], "is": "rule"}}]}}"#));
            assert_eq!(error, format!("_rules_[0]: {NO_CONDITION}"));
        }
    }

    #[test]
    fn rules_may_be_a_single_object() {
        assert_eq!(find(r#"{"_rules_": {"_match_route_": "ns/route", "is": "a"}}"#, REQUEST).as_deref(), Some("a"));
    }

    // Domains.

    #[test]
    fn a_leading_star_matches_a_suffix() {
        for (domain, authority, matches) in [
            ("*", "anything", true),
            ("*", "", true),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "example.com", false),
            ("*ample.com", "example.com", true),
            ("*.example.*", "www.example.com", false),
        ] {
            assert_eq!(domain_matches(domain, authority), matches, "{domain} {authority}");
        }
    }

    #[test]
    fn a_trailing_star_matches_a_prefix() {
        assert!(domain_matches("www.*", "www.example.com"));
        assert!(!domain_matches("www.*", "api.www.com"));
    }

    #[test]
    fn any_other_domain_matches_exactly_and_by_case() {
        assert!(domain_matches("example.com", "example.com"));
        assert!(!domain_matches("example.com", "Example.com"));
        assert!(!domain_matches("example.com", "www.example.com"));
        assert!(!domain_matches("ex*ple.com", "example.com"));
    }

    #[test]
    fn the_port_of_the_request_does_not_count() {
        for (domain, authority, matches) in [
            ("example.com", "example.com:8080", true),
            ("example.com:8080", "example.com:8080", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "[::1]", true),
            ("example.com", "example.com:", true),
        ] {
            assert_eq!(domain_matches(domain, authority), matches, "{domain} {authority}");
        }
    }

    #[test]
    fn any_byte_may_stand_in_the_authority() {
        let request = Request { authority: Some(b"\xff.example.com:\xfe"), ..REQUEST };
        assert!(rule_matches(r#""_match_domain_": ["*.example.com"]"#, request));
    }

    #[test]
    fn without_an_authority_a_domain_rule_leaves_the_request_alone() {
        let json = r#"{"is": "global", "_rules_": [{"_match_domain_": ["*"], "is": "rule"}]}"#;
        assert_eq!(find(json, Request { authority: None, ..REQUEST }), None);
    }

    // Services, routes and prefixes.

    #[test]
    fn a_service_matches_any_port_unless_it_names_one() {
        for (service, cluster, matches) in [
            ("qwen.dns", "outbound|443||qwen.dns", true),
            ("qwen.dns:443", "outbound|443||qwen.dns", true),
            ("qwen.dns:80", "outbound|443||qwen.dns", false),
            ("qwen.dns:", "outbound|443||qwen.dns", false),
            ("*.dns", "outbound|443||qwen.dns", false),
            ("qwen.dns", "outbound|443|subset|qwen.dns", true),
            ("qwen.dns", "qwen.dns", false),
            ("qwen.dns", "outbound|443|qwen.dns", false),
            ("qwen.dns", "outbound|443||qwen.dns|", false),
            ("qwen.dns", "", false),
        ] {
            assert_eq!(service_matches(service, cluster), matches, "{service} {cluster}");
        }
    }

    #[test]
    fn a_route_matches_exactly() {
        assert!(!rule_matches(r#""_match_route_": ["ns/rout", "NS/route", "ns/*"]"#, REQUEST));
    }

    #[test]
    fn a_route_prefix_matches_the_beginning() {
        assert!(rule_matches(r#""_match_route_prefix_": ["x", "ns/"]"#, REQUEST));
        assert!(!rule_matches(r#""_match_route_prefix_": ["s/route"]"#, REQUEST));
    }

    #[test]
    fn a_request_without_route_and_cluster_matches_no_rule_about_them() {
        let request = Request { route: "", cluster: "", ..REQUEST };
        assert!(!rule_matches(r#""_match_route_": ["ns/route"]"#, request));
        assert!(!rule_matches(r#""_match_service_": ["svc"]"#, request));
    }

    // Mistakes.

    #[test]
    fn mistakes_are_refused_with_the_rule_and_the_key() {
        let no_condition = format!("_rules_[1]: {NO_CONDITION}");
        for (json, expected) in [
            (r#"{"_rules_": []}"#, "_rules_: has no rule, and there is no global configuration"),
            (r#"{"_rules_": null}"#, "_rules_: has no rule, and there is no global configuration"),
            (r#"{"is": "a", "_rules_": ["x"]}"#, "_rules_[0]: must be an object"),
            (r#"{"is": "a", "_rules_": [{"_match_route_": "r"}, {}]}"#, &no_condition),
            (r#"{"is": "a", "_rules_": [{"_match_route_": "r"}, {"is": "b"}]}"#, &no_condition),
            (r#"{"is": "a", "_rules_": [{"_match_route_": "r"}, {"_match_domain_": []}]}"#, &no_condition),
            (
                r#"{"is": "a", "_rules_": [{"_match_route_": {"a": 1}}]}"#,
                "_rules_[0]._match_route_: must be a list of strings",
            ),
            (r#"{"_rules_": [{"_match_route_": "r", "oops": 1}]}"#, "_rules_[0].oops: is a mistake"),
            // Go passes over this one in silence.
            (r#"{"oops": 1, "_rules_": [{"_match_route_": "r", "is": "b"}]}"#, "oops: is a mistake"),
            ("[]", "must be a JSON object"),
            ("{", "is not JSON: see line 1, column 1"),
        ] {
            assert_eq!(error(json), expected, "{json}");
        }
    }
}
