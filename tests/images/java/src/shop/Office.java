// What the shop's owner asks for now and then: most answers need classes or libraries that nothing else does.
package shop;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Proxy;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.text.Normalizer;
import java.text.NumberFormat;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.FormatStyle;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ResourceBundle;
import java.util.concurrent.Callable;
import java.util.logging.Logger;
import java.util.prefs.Preferences;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import javax.crypto.Cipher;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;
import javax.imageio.ImageIO;
import javax.net.ssl.SSLContext;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.stream.StreamResult;
import javax.xml.transform.stream.StreamSource;

final class Office {
    private Office() {}

    private static final Map<String, Callable<Object>> ANSWERS = Map.ofEntries(
        Map.entry("zone", () -> ZonedDateTime.of(2024, 7, 1, 12, 0, 0, 0, ZoneId.of("Australia/Lord_Howe")).toInstant()),
        Map.entry("date", () -> ZonedDateTime.of(2024, 7, 1, 12, 0, 0, 0, ZoneId.of("UTC"))
            .format(DateTimeFormatter.ofLocalizedDate(FormatStyle.LONG).withLocale(Locale.JAPAN))),
        Map.entry("money", () -> NumberFormat.getCurrencyInstance(Locale.GERMANY).format(1234.5).replace('\u00a0', ' ')),
        Map.entry("charset", () -> HexFormat.of().formatHex("日本".getBytes(Charset.forName("EUC-JP")))),
        Map.entry("oldCharset", () -> HexFormat.of().formatHex("é".getBytes(Charset.forName("IBM273")))),
        Map.entry("normal", () -> Normalizer.normalize("a\u0308", Normalizer.Form.NFC)),
        Map.entry("cipher", Office::cipher),
        Map.entry("signature", Office::signature),
        Map.entry("password", Office::password),
        Map.entry("secure", () -> SSLContext.getDefault().getSupportedSSLParameters().getProtocols().length > 1),
        Map.entry("document", Office::document),
        Map.entry("stylesheet", Office::stylesheet),
        Map.entry("packed", Office::packed),
        Map.entry("picture", Office::picture),
        Map.entry("photo", Office::photo),
        Map.entry("drawing", Office::drawing),
        Map.entry("written", Office::written),
        Map.entry("fonts", () -> java.awt.GraphicsEnvironment.getLocalGraphicsEnvironment() != null),
        Map.entry("memory", () -> ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed() > 0),
        Map.entry("name", () -> ManagementFactory.getOperatingSystemMXBean().getName()),
        Map.entry("preferences", () -> Preferences.userRoot().get("absent", "none")),
        Map.entry("logger", () -> Logger.getLogger("shop").getParent().getHandlers().length),
        Map.entry("system", () -> run("uname", "-s")),
        Map.entry("shell", () -> run("sh", "-c", "echo $((6 * 7))")),
        Map.entry("client", Office::client),
        Map.entry("proxy", Office::proxy),
        Map.entry("method", () -> Math.class.getMethod("abs", int.class).invoke(null, -3)),
        Map.entry("bundle", () -> ResourceBundle.getBundle("labels", Locale.GERMAN).getString("coffee")),
        Map.entry("parallel", () -> IntStream.range(0, 1000).parallel().sum()),
        Map.entry("decimal", () -> new BigDecimal(1).divide(new BigDecimal(3), 30, RoundingMode.HALF_UP)),
        Map.entry("user", () -> Files.getOwner(java.nio.file.Path.of("/")).getName()),
        Map.entry("services", () -> java.util.ServiceLoader.load(java.nio.file.spi.FileSystemProvider.class).findFirst().isPresent()),
        Map.entry("script", () -> new javax.script.ScriptEngineManager().getEngineFactories().size()),
        Map.entry("agent", () -> Class.forName("shop.Stocktaking").getDeclaredConstructor().newInstance().toString()));

    static String answer(String name) throws Exception {
        var answer = ANSWERS.get(name);
        try {
            return answer == null ? null : String.valueOf(answer.call());
        } catch (LinkageError error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            throw new Exception(cause.toString(), error);
        }
    }

    private static Object cipher() throws Exception {
        var cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(new byte[32], "AES"), new GCMParameterSpec(128, new byte[12]));
        return HexFormat.of().formatHex(cipher.doFinal("goods".getBytes(StandardCharsets.UTF_8))).substring(0, 10);
    }

    private static Object signature() throws Exception {
        var pair = KeyPairGenerator.getInstance("EC").generateKeyPair();
        var signature = Signature.getInstance("SHA256withECDSA");
        signature.initSign(pair.getPrivate());
        signature.update(new byte[8]);
        var signed = signature.sign();
        signature.initVerify(pair.getPublic());
        signature.update(new byte[8]);
        return signature.verify(signed);
    }

    private static Object password() throws Exception {
        var spec = new PBEKeySpec("secret".toCharArray(), "salt".getBytes(StandardCharsets.UTF_8), 10, 32);
        var key = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec);
        return HexFormat.of().formatHex(key.getEncoded());
    }

    private static Object document() throws Exception {
        var bytes = new ByteArrayInputStream("<goods><item>apples</item></goods>".getBytes(StandardCharsets.UTF_8));
        return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(bytes).getDocumentElement().getTextContent();
    }

    private static Object stylesheet() throws Exception {
        var out = new ByteArrayOutputStream();
        var transformer = TransformerFactory.newInstance().newTransformer();
        transformer.setOutputProperty("omit-xml-declaration", "yes");
        transformer.transform(new StreamSource(new ByteArrayInputStream("<a><b/></a>".getBytes())), new StreamResult(out));
        return out.toString(StandardCharsets.UTF_8);
    }

    private static Object packed() throws Exception {
        var out = new ByteArrayOutputStream();
        try (var gzip = new GZIPOutputStream(out)) {
            gzip.write("goods".getBytes(StandardCharsets.UTF_8));
        }
        return new String(new GZIPInputStream(new ByteArrayInputStream(out.toByteArray())).readAllBytes(), StandardCharsets.UTF_8);
    }

    private static byte[] encoded(String format) throws Exception {
        var image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
        image.setRGB(1, 1, Color.RED.getRGB());
        var out = new ByteArrayOutputStream();
        if (!ImageIO.write(image, format, out)) {
            throw new IllegalStateException("no writer for " + format);
        }
        return out.toByteArray();
    }

    private static Object picture() throws Exception {
        return ImageIO.read(new ByteArrayInputStream(encoded("png"))).getWidth();
    }

    private static Object photo() throws Exception {
        return ImageIO.read(new ByteArrayInputStream(encoded("jpg"))).getHeight();
    }

    private static Object drawing() {
        var image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
        var graphics = image.createGraphics();
        graphics.setColor(Color.GREEN);
        graphics.fillRect(0, 0, 8, 8);
        graphics.dispose();
        return Integer.toHexString(image.getRGB(4, 4));
    }

    private static Object written() throws Exception {
        var file = Files.createTempFile("shop", ".txt");
        try (var channel = FileChannel.open(file, java.nio.file.StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap("kept".getBytes(StandardCharsets.UTF_8)));
        }
        var text = Files.readString(file);
        Files.delete(file);
        return text;
    }

    private static String run(String... command) throws Exception {
        var process = new ProcessBuilder(command).redirectErrorStream(true).start();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
    }

    private static Object client() throws Exception {
        var request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:8080/price/coffee")).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    private static Object proxy() {
        var list = (List<?>) Proxy.newProxyInstance(
            Office.class.getClassLoader(), new Class<?>[] {List.class}, (self, method, args) -> 7);
        return list.size();
    }
}
