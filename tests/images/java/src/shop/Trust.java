// The certificate authorities that this JRE trusts: read only when somebody asks.
package shop;

import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

final class Trust {
    private Trust() {}

    static String anchors() throws Exception {
        var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        var managers = Arrays.stream(factory.getTrustManagers()).filter(X509TrustManager.class::isInstance);
        X509Certificate[] issuers = ((X509TrustManager) managers.findFirst().orElseThrow()).getAcceptedIssuers();
        return issuers.length > 100 ? "more than 100" : String.valueOf(issuers.length);
    }
}
