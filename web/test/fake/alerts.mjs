/** The rules of the fake server, and what they fired, without a language: it is told when to fire. */
export class Alerts {
  constructor() {
    this.rules = new Map();
    this.fired = [];
    /** Whether changes are refused as they are from another machine. */
    this.far = false;
  }

  /** Notes an alert; returns it as the stream tells it. */
  fire(rule, symbol, price, text) {
    const { id, name, severity = 'warning' } = this.rules.get(rule) ?? { id: rule, name: rule };
    const n = this.fired.length + 1;
    const t = new Date().toISOString();
    const key = `${id}:${symbol}:${n}`;
    this.fired.unshift({ n, id: key, rule: id, name, symbol, seq: n, t, price, text, severity });
    return { T: 'alert', S: symbol, p: price, t, seq: n, msg: text, id: key };
  }

  /** Answers a request; false when it is for somebody else. */
  async answer(request, response, path, params) {
    if (path !== '/v1/alerts' && !path.startsWith('/v1/alerts/')) return false;
    const say = (status, body) => {
      response.statusCode = status;
      const kind = status < 400 ? 'application/json' : 'application/problem+json';
      response.setHeader('Content-Type', kind);
      response.end(body === undefined ? '' : JSON.stringify(body));
    };
    const { method } = request;
    if (method !== 'GET' && this.far) {
      say(403, { detail: "rules are changed from the server's own machine only" });
    } else if (path === '/v1/alerts' && method === 'GET') {
      say(200, { rules: [...this.rules.values()] });
    } else if (path === '/v1/alerts/history') {
      const limit = Number(params.get('limit') ?? 100);
      const before = Number(params.get('before') ?? Infinity);
      const alerts = this.fired.filter(({ n }) => n < before).slice(0, limit);
      say(200, { alerts, ...(alerts.length === limit ? { before: alerts.at(-1).n } : {}) });
    } else if (path.endsWith('/acknowledge')) {
      const n = Number(path.split('/').at(-2));
      this.fired.find((a) => a.n === n).acknowledged = new Date().toISOString();
      say(204);
    } else if (method === 'DELETE') {
      this.rules.delete(path.split('/').at(-1));
      say(204);
    } else {
      let body = '';
      for await (const chunk of request) body += chunk;
      const id = method === 'PUT' ? path.split('/').at(-1) : `rule-${this.rules.size + 1}`;
      const rule = { severity: 'warning', ...JSON.parse(body), id };
      this.rules.set(id, rule);
      say(method === 'PUT' ? 200 : 201, rule);
    }
    return true;
  }
}
