// The search of the site in pages opened from files: browsers refuse to start a worker from one, so its script runs in
// a hidden frame of the page. Takes the place of a script that the theme would fetch from elsewhere.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.inside = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "Search";
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = new URL(url, location.href).href;
      script.onload = () => {
        this.inside = inside;
        this.waiting.splice(0).forEach(data => this.postMessage(data));
      };
      script.onerror = () => this.dispatchEvent(new ErrorEvent("error"));
      inside.document.body.append(script);
    }

    postMessage(data) {
      if (this.inside === null) this.waiting.push(data);
      else this.inside.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
  window.Worker = window.IFrameWorker;
}
