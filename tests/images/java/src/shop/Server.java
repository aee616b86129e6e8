// A corner shop over HTTP, with classes that are loaded when they are first needed.
package shop;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneId;
import java.util.HexFormat;
import java.util.Properties;
import java.util.concurrent.Executors;

public final class Server {
    private interface Answer {
        String to(String rest) throws Exception;
    }

    private final Properties goods = new Properties();

    private Server() throws IOException {
        try (InputStream file = Server.class.getResourceAsStream("/goods.properties")) {
            goods.load(file);
        }
    }

    public static void main(String[] args) throws IOException {
        var server = new Server();
        var http = HttpServer.create(new InetSocketAddress(8080), 0);
        server.route(http, "/price/", name -> server.goods.getProperty(name));
        server.route(http, "/time/", zone -> Instant.EPOCH.atZone(ZoneId.of(zone.replace('.', '/'))).toString());
        server.route(http, "/digest/", Server::digest);
        server.route(http, "/resolve/", name -> InetAddress.getByName(name).getHostAddress());
        server.route(http, "/trust/", name -> Trust.anchors());
        server.route(http, "/office/", Office::answer);
        http.setExecutor(Executors.newFixedThreadPool(2));
        http.start();
    }

    private static String digest(String text) throws Exception {
        var bytes = text.getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private void route(HttpServer http, String path, Answer answer) {
        http.createContext(path, exchange -> {
            try {
                String text = answer.to(exchange.getRequestURI().getPath().substring(path.length()));
                send(exchange, text == null ? 404 : 200, text == null ? "absent" : text);
            } catch (Exception error) {
                send(exchange, 500, error.toString());
            }
        });
    }

    private static void send(HttpExchange exchange, int status, String text) throws IOException {
        var bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        try (var body = exchange.getResponseBody()) {
            body.write(bytes);
        }
    }
}
