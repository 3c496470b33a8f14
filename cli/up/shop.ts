// The example shop's programs: shell scripts for busybox. In: nothing. Out: their text.

/** Serves a page made from the environment and the product file; ends at once on SIGTERM. */
export const WEB_PROGRAM = `#!/bin/sh
[ "$FAIL" = crash ] && { echo "told to crash"; exit 7; }
mkdir -p /tmp/www
{
  echo "<h1>$GREETING</h1><ul>"
  sed 's/^\\(.*\\);\\(.*\\)$/<li>\\1: \\2 thalers<\\/li>/' /etc/shop/products.txt
  echo "</ul><p>Copy $PURSER_INDEX of $PURSER_JOB on $PURSER_NODE</p>"
} > /tmp/www/index.html
[ "$FAIL" = sick ] || echo ok > /tmp/www/healthz
echo "serving: $GREETING"
httpd -f -p 8080 -h /tmp/www &
child=$!
trap 'echo "asked to stop"; kill $child; exit 0' TERM
wait $child
`;

/** Serves the orders; they lie in a named volume. */
export const STORE_PROGRAM = `#!/bin/sh
mkdir -p /data
echo ok > /www/healthz
echo '<meta http-equiv="refresh" content="0; url=/cgi-bin/orders">' > /www/index.html
echo "orders kept so far: $(cat /data/orders.txt 2>/dev/null | sed -n '$=')"
httpd -f -p 8080 -h /www &
child=$!
trap 'kill $child; exit 0' TERM
wait $child
`;

/** Lists orders; \`?item=NAME\` adds one. */
export const STORE_PAGE = `#!/bin/sh
item=$(echo "$QUERY_STRING" | sed -n 's/^item=\\([A-Za-z0-9_-]*\\).*/\\1/p')
[ -n "$item" ] && echo "$(date +%FT%TZ) $item" >> /data/orders.txt
echo "Content-Type: text/plain"
echo
cat /data/orders.txt 2>/dev/null || echo "no orders yet: add one with ?item=Sextant"
`;
