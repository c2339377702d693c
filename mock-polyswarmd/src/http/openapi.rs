//! The description of every route, made of the same table as the routes themselves.

use axum::{http::StatusCode, response::Response};
use serde_json::{Map, Value, json};

use super::answer;

/// What a method does on a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    method: &'static str,
    summary: &'static str,
    /// Name of the body's schema; empty without a body.
    body: &'static str,
    /// Name of the result's schema.
    result: &'static str,
}

impl Operation {
    pub(super) const fn get(summary: &'static str, result: &'static str) -> Operation {
        Operation { method: "get", summary, body: "", result }
    }

    pub(super) const fn post(summary: &'static str, body: &'static str, result: &'static str) -> Operation {
        Operation { method: "post", summary, body, result }
    }

    pub(super) const fn put(summary: &'static str, body: &'static str, result: &'static str) -> Operation {
        Operation { method: "put", summary, body, result }
    }
}

pub(super) async fn openapi() -> Response {
    answer::json(StatusCode::OK, &description())
}

/// The description as OpenAPI 3.1.
pub fn description() -> Value {
    let mut paths = Map::new();
    for route in super::polyswarmd().into_iter().chain(super::clock()).chain(super::mock()) {
        let parameters: Vec<Value> = route
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .chain(["account", "chain"].map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })))
            .collect();
        let mut methods = Map::new();
        for operation in &route.operations {
            methods.insert(operation.method.to_owned(), describe(operation, &parameters));
        }
        paths.insert(route.path.to_owned(), Value::Object(methods));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mock-polyswarmd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "polyswarmd's protocol in its ethereum mode. Paths under `/_mock` are this server's own. \
                Every path may end with a slash.",
        },
        "paths": paths,
        "components": {
            "parameters": {
                "account": { "name": "account", "in": "query", "description": "address of who asks; it is funded at first sight",
                    "schema": { "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" } },
                "chain": { "name": "chain", "in": "query", "schema": { "enum": ["side", "home"], "default": "side" } },
            },
            "schemas": schemas(),
        },
    })
}

fn describe(operation: &Operation, parameters: &[Value]) -> Value {
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let plain = matches!(operation.result, "Page" | "Bytes");
    let success = match operation.result {
        "Upgrade" => json!({ "101": { "description": "WebSocket" } }),
        "Bytes" => json!({ "200": { "description": "bytes", "content": { "application/octet-stream": {} } } }),
        "Page" => json!({ "200": { "description": "text" } }),
        result => json!({ "200": { "description": "OK", "content": { "application/json": { "schema": {
            "type": "object", "required": ["status", "result"],
            "properties": { "status": { "const": "OK" }, "result": schema(result) } } } } } }),
    };
    let mut described = json!({ "summary": operation.summary, "parameters": parameters, "responses": success });
    if !plain && operation.result != "Upgrade" {
        described["responses"]["default"] = json!({ "description": "refused",
            "content": { "application/json": { "schema": schema("Failure") } } });
    }
    match operation.body {
        "" => {}
        "Files" => {
            described["requestBody"] = json!({ "required": true, "content": { "multipart/form-data": { "schema": {
                "type": "object", "properties": { "file": { "type": "array", "items": { "type": "string", "format": "binary" } } } } } } });
        }
        body => described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema(body) } } }),
    }
    described
}

fn object(fields: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn schemas() -> Value {
    let (text, number, flag) = (json!({ "type": "string" }), json!({ "type": "integer" }), json!({ "type": "boolean" }));
    let wei = json!({ "type": "string", "pattern": "^[0-9]+$", "description": "wei" });
    let uint = json!({ "type": "string", "pattern": "^[0-9]+$", "description": "256-bit number" });
    let address = json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" });
    let list = |item: &Value| json!({ "type": "array", "items": item });
    let flags = list(&flag);
    let json_value = json!({});
    let guid = json!({ "type": "string", "format": "uuid" });
    let kind = json!({ "enum": ["file", "url"] });
    json!({
        "Json": json_value, "Null": { "type": "null" }, "Bool": flag, "Number": number, "Wei": wei, "Uri": text,
        "Names": list(&text), "Guids": list(&guid), "Pending": list(&uint),
        "Failure": { "type": "object", "required": ["status", "errors"],
            "properties": { "status": { "const": "FAIL" }, "errors": json_value } },
        "BountyParameters": object(&[("bounty_fee", number.clone()), ("assertion_fee", number.clone()),
            ("bounty_amount_minimum", number.clone()), ("assertion_bid_minimum", number.clone()),
            ("assertion_bid_maximum", number.clone()), ("arbiter_lookback_range", number.clone()), ("max_duration", number.clone()),
            ("assertion_reveal_window", number.clone()), ("arbiter_vote_window", number.clone())]),
        "StakingParameters": object(&[("minimum_stake", number.clone()), ("maximum_stake", number.clone()),
            ("vote_ratio_numerator", number.clone()), ("vote_ratio_denominator", number.clone())]),
        "Amount": object(&[("amount", wei.clone())]),
        "Artifacts": list(&object(&[("name", text.clone()), ("hash", text.clone())])),
        "PostBounty": object(&[("amount", wei.clone()), ("artifact_type", kind.clone()), ("uri", text.clone()),
            ("duration", number.clone())]),
        "Bounty": object(&[("guid", guid.clone()), ("artifact_type", kind), ("author", address.clone()), ("amount", wei.clone()),
            ("uri", text.clone()), ("num_artifacts", number.clone()), ("expiration", number.clone()),
            ("assigned_arbiter", address.clone()), ("quorum_reached", flag.clone()), ("quorum_reached_block", number.clone()),
            ("quorum_mask", flags.clone()), ("metadata", json_value.clone())]),
        "PostAssertion": object(&[("bid", list(&wei)), ("mask", flags.clone()), ("commitment", uint.clone())]),
        "RevealAssertion": object(&[("nonce", uint.clone()), ("verdicts", flags.clone()), ("metadata", text.clone())]),
        "Assertions": list(&object(&[("author", address.clone()), ("mask", flags.clone()), ("commitment", uint.clone()),
            ("nonce", uint.clone()), ("verdicts", list(&json!({ "type": ["boolean", "null"] }))), ("metadata", text.clone()),
            ("bid", list(&wei))])),
        "PostVote": object(&[("votes", flags.clone()), ("valid_bloom", flag.clone())]),
        "Votes": list(&object(&[("voter", address.clone()), ("votes", flags), ("valid_bloom", flag.clone())])),
        "Bloom": object(&[("bloom", json!({ "type": "array", "items": number, "minItems": 8, "maxItems": 8 }))]),
        "ToSign": object(&[("transactions", list(&object(&[("nonce", number.clone()), ("chainId", number.clone()),
            ("gas", number.clone()), ("gasPrice", number.clone()), ("value", number.clone()), ("to", address.clone()),
            ("data", text.clone())])))]),
        "Submission": object(&[("transactions", json!({ "type": "array", "items": text, "maxItems": 10 }))]),
        "Submitted": list(&object(&[("is_error", flag.clone()), ("message", text.clone())])),
        "Receipt": { "type": "object", "description": "transfers, bounties, assertions, reveals, votes, deposits, withdrawals, errors" },
        "Pass": object(&[("block", number.clone())]),
        "Mine": { "type": "object", "properties": { "blocks": { "type": "integer", "default": 1 } } },
        "Fund": object(&[("account", address), ("amount", wei.clone())]),
        "Fees": object(&[("bounty_fee", wei.clone()), ("assertion_fee", wei)]),
        "Windows": object(&[("assertion_reveal_window", number.clone()), ("arbiter_vote_window", number)]),
        "Deprecate": { "type": "object", "properties": { "rollover": flag } },
        "State": { "type": "object", "description": "as this path gives it" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_referred_to_exists() {
        let description = description();
        let text = description.to_string();
        let mut count = 0;
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer}");
            count += 1;
        }
        assert!(count > 100, "{count}");
    }
}
