//! A thin client of the DevTools protocol: starts Chromium without a window, drives a page, and remembers all that went wrong in it.
//!
//! A few commands are all that is needed. `chromiumoxide` compiles a type for each of the protocol's thousand messages, WebDriver
//! needs a second program; this needs the WebSocket client that is here anyway. Nothing sleeps: a test waits for promises.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

/// Environment variable that names the program.
const PROGRAM: &str = "CHROMIUM";
/// Everything has happened long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a browser without a window and without a life of its own is started with.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser; it ends when it is dropped.
pub(crate) struct Browser {
    process: Child,
    /// Its `ws://127.0.0.1:port/devtools/`.
    address: String,
    control: Session,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts one with an empty profile; nothing where there is none, which is said.
    pub(crate) async fn start() -> Option<Browser> {
        let Some(program) = program() else {
            eprintln!("skipped: Chromium is not installed (Debian: `apt-get install chromium`), and {PROGRAM} names none");
            return None;
        };
        let profile = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(program);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a browser that starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe, asked for above")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = lines.by_ref().find_map(|line| {
            let address = line.strip_prefix("DevTools listening on ").map(str::to_owned);
            said.push(line);
            address
        });
        let address = address.unwrap_or_else(|| panic!("the browser ended at once: {said:#?}"));
        // It goes on talking, and must not wait for somebody to read that.
        thread::spawn(move || lines.for_each(drop));
        let control = Session::open(&address).await;
        let address = address.split("browser/").next().expect("a text has a first part").to_owned();
        Some(Browser { process, address, control, _profile: profile })
    }

    /// Opens an empty page.
    pub(crate) async fn page(&mut self) -> Page {
        let target = self.control.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let id = target["targetId"].as_str().expect("a target has a name");
        let mut session = Session::open(&format!("{}page/{id}", self.address)).await;
        for domain in ["Page", "Runtime", "Log", "Network"] {
            session.call(&format!("{domain}.enable"), json!({})).await;
        }
        session.events.clear();
        Page { session }
    }
}

/// Where the browser is, if there is one.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(PROGRAM) {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// One connection to the browser or to a page.
struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
    /// What it said without being asked, in order.
    events: Vec<Value>,
}

impl Session {
    async fn open(address: &str) -> Session {
        let (socket, _) = tokio_tungstenite::connect_async(address).await.expect("a browser that listens");
        Session { socket, calls: 0, events: Vec::new() }
    }

    /// Carries out one command, and answers its result.
    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters).await;
        loop {
            let message = self.hear(method).await;
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.keep(message).await;
        }
    }

    /// Waits for an event, unless it has happened since the last call of [`Session::forget`].
    async fn event(&mut self, method: &str) {
        while !self.events.iter().any(|event| event["method"] == method) {
            let message = self.hear(method).await;
            self.keep(message).await;
        }
    }

    async fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.calls += 1;
        let command = json!({ "id": self.calls, "method": method, "params": parameters });
        self.socket.send(Message::text(command.to_string())).await.expect("a browser that listens");
        self.calls
    }

    async fn hear(&mut self, waiting_for: &str) -> Value {
        let heard = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        let heard = heard.unwrap_or_else(|_| panic!("{waiting_for}: nothing was heard for {PATIENCE:?}; before: {:#?}", self.events));
        let message = heard.expect("a browser that is still there").expect("a browser that talks");
        serde_json::from_str(message.to_text().expect("the protocol is text")).expect("the protocol is JSON")
    }

    async fn keep(&mut self, message: Value) {
        if message["method"] == "Page.javascriptDialogOpening" {
            // A page stands still until it is closed; the answer is of no interest.
            self.send("Page.handleJavaScriptDialog", json!({ "accept": false })).await;
        }
        if message.get("method").is_some() {
            self.events.push(message);
        }
    }
}

/// What a page takes the user to have, as `prefers-color-scheme` and the like say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// A page, and all that went wrong in it.
pub(crate) struct Page {
    session: Session,
}

impl Page {
    /// Goes to an address, and waits until all of it is loaded.
    pub(crate) async fn open(&mut self, address: &str) {
        self.session.events.retain(|event| event["method"] != "Page.loadEventFired");
        let answer = self.session.call("Page.navigate", json!({ "url": address })).await;
        assert!(answer["errorText"].is_null(), "{address}: {}", answer["errorText"]);
        self.session.event("Page.loadEventFired").await;
    }

    /// Opens a file.
    pub(crate) async fn open_file(&mut self, file: &Path) {
        self.open(&format!("file://{}", file.canonicalize().expect("a file that is there").display())).await;
    }

    /// The value of an expression of JavaScript; of a promise, what it comes to.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.session.call("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {:#}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until a condition holds, looking whenever the page could be drawn.
    pub(crate) async fn until(&mut self, condition: &str) {
        let patience = PATIENCE.as_millis() / 2;
        let promise = format!(
            "new Promise((held, failed) => {{
                const end = performance.now() + {patience};
                const look = () => ({condition}) ? held(true)
                    : performance.now() > end ? failed(new Error('it never held')) : requestAnimationFrame(look);
                look();
            }})"
        );
        self.evaluate(&promise).await;
    }

    /// Light or dark, on screen.
    pub(crate) async fn prefer(&mut self, scheme: Scheme) {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }, { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.session.call("Emulation.setEmulatedMedia", json!({ "media": "screen", "features": features })).await;
    }

    /// The size of the window, in pixels of CSS; narrow ones are telephones, drawn at twice that.
    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if mobile { 2 } else { 1 }, "mobile": mobile });
        self.session.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Presses a key with its name and its code, as in `("Enter", 13)`.
    pub(crate) async fn press(&mut self, (key, code): (&str, u32)) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": if kind == "keyDown" { text } else { "" } });
            self.session.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// The page as PNG: the window, or everything.
    pub(crate) async fn screenshot(&mut self, everything: bool) -> Vec<u8> {
        let answer = self.session.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": everything })).await;
        bytes(&answer["data"])
    }

    /// The page as it is printed, on A4.
    pub(crate) async fn pdf(&mut self) -> Vec<u8> {
        // What the screen was taken for is no longer meant.
        self.session.call("Emulation.setEmulatedMedia", json!({ "media": "" })).await;
        let paper = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true });
        bytes(&self.session.call("Page.printToPDF", paper).await["data"])
    }

    /// What went wrong since the page was made: errors and warnings on the console, exceptions, what the policy refused, dialogs,
    /// requests that failed.
    pub(crate) async fn problems(&mut self) -> Vec<String> {
        // Whatever was said before this is answered has arrived with it.
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))").await;
        self.session.events.iter().filter_map(problem).collect()
    }

    /// Addresses that were asked for, those of the pages themselves included.
    pub(crate) async fn requests(&mut self) -> Vec<String> {
        self.problems().await;
        let sent = self.session.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned)).collect()
    }
}

fn bytes(data: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(data.as_str().expect("bytes come as a text")).expect("bytes come in base 64")
}

/// What an event says went wrong, if anything.
fn problem(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    let kind = event["method"].as_str()?;
    let said = match kind {
        "Runtime.consoleAPICalled" => {
            let said = ["error", "warning", "assert"].contains(&parameters["type"].as_str()?);
            said.then(|| &parameters["args"])
        }
        "Runtime.exceptionThrown" => Some(&parameters["exceptionDetails"]["exception"]["description"]),
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            ["error", "warning"].contains(&entry["level"].as_str()?).then(|| &entry["text"])
        }
        "Page.javascriptDialogOpening" => Some(&parameters["message"]),
        "Network.loadingFailed" => Some(parameters),
        _ => None,
    };
    said.map(|said| format!("{kind}: {said}"))
}
