// Brevo's client for Node on a served application: node client.cjs ADDRESS KEY PROGRAM BALANCE_DEFINITION
// Prints what it was answered as one JSON object; tests/dialects/brevo/test_node.py says what that has to be.
const { BrevoClient, Brevo } = require("@getbrevo/brevo");

async function main([address, key, pid, balanceDefinitionId]) {
  const brevo = new BrevoClient({ apiKey: key, baseUrl: `${address}/v3`, maxRetries: 0 });
  const whose = { pid, contactId: 12345, balanceDefinitionId };
  const begun = await brevo.balance.beginTransaction({ ...whose, amount: 50, meta: { reason: "signup_bonus" } });
  const completed = await brevo.balance.completeTransaction({ pid, tid: begun.id });
  const debit = await brevo.balance.beginTransaction({ ...whose, amount: -20 });
  const cancelled = await brevo.balance.cancelTransaction({ pid, tid: debit.id });
  const byId = { pid, LoyaltySubscriptionId: "cust_abc123", balanceDefinitionId };
  const other = await brevo.balance.beginTransaction({ ...byId, amount: 5, autoComplete: true });
  const history = await brevo.balance.getTransactionHistoryApi({ ...whose, status: "completed", sort: "asc" });
  const refusals = {};
  for (const [name, ask] of Object.entries({
    twice: () => brevo.balance.completeTransaction({ pid, tid: begun.id }),
    nothing: () => brevo.balance.beginTransaction({ ...whose, amount: 0 }),
    strange: () => brevo.balance.completeTransaction({ pid, tid: "27000000-0000-4000-8000-000000000000" }),
  })) {
    try {
      await ask();
    } catch (error) {
      refusals[name] = { of: error.constructor.name, status: error.statusCode, body: error.body };
    }
  }
  console.log(JSON.stringify({ begun, completed, cancelled, other, history, refusals }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
