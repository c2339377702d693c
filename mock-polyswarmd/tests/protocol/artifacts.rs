//! Uploads and downloads by content, and metadata.

use axum::http::Method;
use serde_json::json;

use crate::support::{Actor, Config, EICAR, NCT, Polyswarmd, keys, lively};

#[tokio::test]
async fn uploads_are_addressed_by_their_content() {
    let market = Polyswarmd::quiet().await;
    // As `ipfs add` names it.
    let uri = market.upload(&[b"hello world\n"]).await;
    assert_eq!(uri, "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o");
    assert_eq!(market.upload(&[b"hello world\n"]).await, uri, "the same again is the same");
    let listing = market.get(&format!("/artifacts/{uri}/?{}", Actor::new(1).query())).await.result();
    assert_eq!(listing, json!([{ "name": "000000", "hash": uri }]));

    let files: [&[u8]; 4] = [EICAR, b"", b"\xff\x00\r\n--0123456789abcdef\r\n--", b"hello world\n"];
    let several = market.upload(&files).await;
    assert!(several != uri && several == market.upload(&files).await);
    assert_ne!(several, market.upload(&[files[1], files[0], files[2], files[3]]).await, "order is part of it");
    for slash in ["", "/"] {
        let listing = market.get(&format!("/artifacts/{several}{slash}")).await.result();
        assert_eq!(listing.as_array().unwrap().len(), 4);
        assert_eq!(listing[3], json!({ "name": "000003", "hash": uri }));
        for (index, file) in files.iter().enumerate() {
            let answer = market.get(&format!("/artifacts/{several}/{index}{slash}?account={}", Actor::new(1).address)).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, *file));
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        }
    }
    // Base58, and short enough for clients to take it for an address.
    assert!(several.starts_with("Qm") && several.len() == 46);
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let market = Polyswarmd::quiet().await;
    let uri = market.upload(&[EICAR]).await;
    for (path, status, part) in [
        ("/artifacts/QmNothing".to_owned(), 404, "there is nothing at QmNothing"),
        ("/artifacts/QmNothing/0".to_owned(), 404, "there is nothing at QmNothing"),
        (format!("/artifacts/{uri}/1"), 404, "has 1 artifacts, there is no number 1"),
        (format!("/artifacts/{uri}/99999999999999999999999"), 400, "index is a number"),
        (format!("/artifacts/{uri}/-1"), 400, "index is a number"),
    ] {
        let answer = market.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.sentence().contains(part), "{path}: {}", answer.sentence());
    }
}

#[tokio::test]
async fn uploads_have_limits() {
    let market = Polyswarmd::quiet().await;
    assert!(market.upload_form(&[]).await.sentence().contains("at least one file"));
    let many = vec![b"x".as_slice(); 257];
    assert!(market.upload_form(&many).await.sentence().contains("at most 256"));
    assert_eq!(market.get(&format!("/artifacts/{}", market.upload(&many[..256]).await)).await.result().as_array().unwrap().len(), 256);
    let half = vec![7; 17 << 20];
    let answer = market.upload_form(&[&half, &half]).await;
    assert_eq!(answer.status.as_u16(), 413);
    assert!(answer.sentence().contains("exceed the limit"), "{}", answer.sentence());
    market.upload(&[&half]).await;
    for (kind, body) in [
        ("multipart/form-data", "--x--"),
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data"),
        ("multipart/form-data; boundary=x", "no form"),
        ("application/json", "{}"),
    ] {
        let request =
            market.request(Method::POST, "/artifacts/").header("content-type", kind).body(body.as_bytes().to_vec().into()).unwrap();
        market.send(request).await.sentence();
    }
}

#[tokio::test]
async fn artifacts_of_the_corpus_are_downloaded_as_they_are() {
    let market = Polyswarmd::lively().await;
    market.mine(12).await;
    let mut files = 0;
    for guid in market.get("/bounties").await.result().as_array().unwrap() {
        let bounty = market.get(&format!("/bounties/{}", guid.as_str().unwrap())).await.result();
        let uri = bounty["uri"].as_str().unwrap();
        assert_eq!(market.get(&format!("/artifacts/{uri}/")).await.result()[0]["name"], "000000");
        let answer = market.get(&format!("/artifacts/{uri}/0/")).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(bounty["metadata"][0]["filesize"], answer.body.len());
        use sha2::Digest;
        assert_eq!(bounty["metadata"][0]["sha256"], hex::encode(sha2::Sha256::digest(&answer.body)));
        assert!(keys(&bounty["metadata"][0]).contains(&"mimetype"));
        files += 1;
    }
    assert!(files >= 11, "{files}");
}

/// The shipped panel has verdicts and no files.
#[tokio::test]
async fn a_corpus_without_files_says_what_is_missing() {
    let corpus = crate::support::starter().join("../panel");
    let market = Polyswarmd::start(Config { corpus, scenario: lively(), ..Config::default() }).await;
    market.mine(3).await;
    let guid = market.get("/bounties").await.result()[0].as_str().unwrap().to_owned();
    let uri = market.get(&format!("/bounties/{guid}")).await.result()["uri"].as_str().unwrap().to_owned();
    let answer = market.get(&format!("/artifacts/{uri}/0/")).await;
    assert_eq!(answer.status.as_u16(), 404);
    let sentence = answer.sentence();
    assert!(sentence.contains("recorded verdicts only") && sentence.contains("need a corpus with files"), "{sentence}");
}

#[tokio::test]
async fn metadata_are_kept_as_they_are_and_have_a_limit() {
    let market = Polyswarmd::quiet().await;
    let post = async |body: &str| market.post("/bounties/metadata", body).await;
    let first = post(r#"[{"a":1e400}]"#).await.result();
    assert_eq!(post(r#"[{"a":1e400}]"#).await.result(), first);
    for body in ["null", "7", "[]", r#""x""#, "{}"] {
        assert!(post(body).await.result().as_str().unwrap().starts_with("Qm"), "{body}");
    }
    for body in ["", "{", "[1,]", "nan", "{\"a\":\"\u{1}\"}", "[1] [2]"] {
        post(body).await.sentence();
    }
    // Metadata may come after the bounty that names them.
    let late = wire::ipfs::cid(b"[7]");
    let uri = market.upload(&[EICAR]).await;
    let bounty = json!({ "amount": (2 * NCT).to_string(), "artifact_type": "file", "uri": uri, "duration": 9, "metadata": late });
    let guid = market.act(&mut Actor::new(2), "/bounties", bounty).await["bounties"][0]["guid"].take();
    let bounty = format!("/bounties/{}", guid.as_str().unwrap());
    assert_eq!(market.get(&bounty).await.result()["metadata"], json!(null));
    assert_eq!(post("[7]").await.result(), late);
    assert_eq!(market.get(&bounty).await.result()["metadata"], json!([7]));
    // A client takes frames of up to 1 MiB: an event with the largest metadata must fit.
    let largest = format!(r#""{}""#, "x".repeat(999_998));
    let metadata = post(&largest).await.result();
    assert!(post(&format!(" {largest}x")).await.status.is_client_error());
    assert!(post(&largest.replacen('x', "xx", 1)).await.sentence().contains("exceed the limit of 1000000"));
    let mut events = market.events("side").await;
    let mut author = Actor::new(1);
    let uri = market.upload(&[EICAR]).await;
    let body = json!({ "amount": (2 * NCT).to_string(), "artifact_type": "file", "uri": uri, "duration": 9, "metadata": metadata });
    market.act(&mut author, "/bounties", body).await;
    while let Some(text) = events.next_text().await {
        if text.len() > 999_998 {
            assert!(text.len() < 1 << 20);
            break;
        }
    }
}
