// A class that is only found by its name.
package shop;

public final class Stocktaking {
    @Override
    public String toString() {
        return "counted";
    }
}
