"""The page's own connection to its kernel, which a test can take away and give back."""

from playwright.sync_api import Page, WebSocketRoute


class Connection:
    """All sockets that `page` opens to kernels from now on: the page has to be loaded after this."""

    def __init__(self, page: Page) -> None:
        self._sockets: list[WebSocketRoute] = []
        self._lost = False
        page.route_web_socket(lambda url: "/channels" in url, self._opened)

    def lose(self) -> None:
        self._lost = True
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    def give_back(self) -> None:
        """Let the page in again, when it tries the next time."""
        self._lost = False

    def _opened(self, socket: WebSocketRoute) -> None:
        if self._lost:
            socket.close()
        else:
            socket.connect_to_server()
            self._sockets.append(socket)
